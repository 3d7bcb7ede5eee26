package browser

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/snom2mqtt/snom2mqtt/e2e/program"
)

// waitLimit is how long a test waits for anything.
const waitLimit = 60 * time.Second

// missing skips a test for which something is not installed, and fails it where nothing may be missing.
func missing(t *testing.T, what string) {
	t.Helper()
	program.Missing(t, what)
}

// built is the program, built once.
var built = sync.OnceValue(func() *program.Build { return &program.Build{} })

func TestMain(m *testing.M) {
	code := m.Run()
	built().Remove()
	os.Exit(code)
}

// said are the lines of a program's standard error, of which some were read.
type said struct {
	*program.Process
	read int
}

// start runs the built program until the test ends.
func start(t *testing.T, env []string, args ...string) *said {
	t.Helper()
	path, err := built().Path()
	if err != nil {
		t.Fatal(err)
	}
	env = append([]string{"HOME=" + t.TempDir()}, env...)
	return &said{Process: program.Start(t, program.Command{Name: args[0], Path: path, Args: args, Env: env})}
}

// next returns the rest of the next line that has this text.
func (s *said) next(begin string) (rest string) {
	s.Until("a line with "+begin, func(_, log []string) bool {
		for s.read < len(log) {
			line := log[s.read]
			s.read++
			var found bool
			if _, rest, found = strings.Cut(line, begin); found {
				return true
			}
		}
		return false
	})
	return rest
}

// A rig is a bridge with simulated phones and a console.
type rig struct {
	t       *testing.T
	url     string // of the console
	control string // of the phones
	actions string // where phones report events
}

// token is that of every phone.
const token = "0123456789abcdef"

// newRig runs a bridge with so many simulated phones, called desk1 and so on, and these settings.
func newRig(t *testing.T, phones int, settings ...string) *rig {
	t.Helper()
	r := &rig{t: t}
	lines := start(t, nil, "simulate", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--name", "desk", "--username", "admin", "--password", "demo", "--count", fmt.Sprint(phones))
	file := strings.Builder{}
	file.WriteString("phones:\n")
	for i := range phones {
		name := "desk"
		if phones > 1 {
			name = fmt.Sprintf("desk-%d", i+1)
		}
		keys := ""
		if i == 0 {
			keys = ", keys: {P1: {name: garage, label: Garage}}"
		}
		fmt.Fprintf(&file, "  desk%d: {url: %q, model: D735, username: admin, password: demo, token: %s%s}\n", i+1, lines.next(name+" "), token, keys)
	}
	r.control = lines.next("control ")
	path, code := filepath.Join(t.TempDir(), "phones.yml"), filepath.Join(t.TempDir(), "door.code")
	if err := os.WriteFile(code, []byte("4711\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&file, "doors:\n  front: {phone: desk1, number: \"61\", code_file: %s}\n", code)
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append([]string{
		"SNOM2MQTT_PHONES_FILE=" + path, "SNOM2MQTT_BROKER_LISTEN=127.0.0.1:0", "SNOM2MQTT_CONSOLE_LISTEN=127.0.0.1:0",
		"SNOM2MQTT_PHONE_LISTEN=127.0.0.1:0", "SNOM2MQTT_LOG_LEVEL=info",
	}, settings...)
	lines = start(t, env, "run")
	for r.url == "" || r.actions == "" {
		line := lines.next("level=INFO msg=")
		_, from, _ := strings.Cut(line, "from=")
		from, _, _ = strings.Cut(from, " ")
		switch {
		case strings.HasPrefix(line, "console "):
			r.url = "http://" + from + "/"
		case strings.Contains(line, "action"):
			r.actions = "http://" + from
		}
	}
	return r
}

// event reports an event of a phone to the bridge, as the phone does.
func (r *rig) event(phone, event, variables string) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, fmt.Sprintf("%s/a/%s/%s/%s?%s", r.actions, phone, token, event, variables), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		r.t.Fatalf("event %s of %s: %s", event, phone, answer.Status)
	}
}

// A tab is a page in the browser. Whatever the browser writes to its console is a fault.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // it is what chromedp calls a tab
	rig *rig
}

// A look is how a browser shows pages.
type look struct {
	lang  string // empty: en
	dark  bool
	width int64 // 0: 1280
	plain bool  // without JavaScript
}

// open opens a tab of a browser of its own.
func (r *rig) open(l look) *tab {
	r.t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		missing(r.t, "chromium")
	}
	width := l.width
	if width == 0 {
		width = 1280
	}
	lang := l.lang
	if lang == "" {
		lang = "en"
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("lang", lang), chromedp.Flag("accept-lang", lang))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	r.t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	r.t.Cleanup(cancel)
	b := &tab{t: r.t, ctx: ctx, rig: r}
	written := chromedp.Console(ctx)
	var reading sync.WaitGroup
	var mu sync.Mutex
	var faults []string
	reading.Go(func() {
		for m, err := range written {
			if err != nil {
				return
			}
			mu.Lock()
			faults = append(faults, m.String())
			mu.Unlock()
		}
	})
	r.t.Cleanup(func() {
		cancel()
		reading.Wait()
		mu.Lock()
		defer mu.Unlock()
		for _, fault := range faults {
			r.t.Errorf("the browser's console: %s", fault)
		}
	})
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	b.do(
		chromedp.EmulateViewport(width, 900),
		chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
			return err
		}),
		chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": lang}})
			return err
		}),
		chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: l.plain})
			return err
		}),
	)
	return b
}

// do carries out actions.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// visit shows a page of the console.
func (b *tab) visit(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.rig.url + path))
}

// eval returns the value of an expression in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// until waits until an expression in the page is true, across pages.
func (b *tab) until(expression string) {
	b.t.Helper()
	look := fmt.Sprintf(`new Promise(done => {
		const end = Date.now() + 1000;
		const look = () => { let yes = false; try { yes = (%s) } catch {} yes ? done(true) : Date.now() > end ? done(false) : setTimeout(look, 10) };
		look();
	})`, expression)
	for end := time.Now().Add(waitLimit); time.Now().Before(end); {
		// While another page is loaded, there is an error.
		if value, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](look, chromedp.EvalAwaitPromise)); err == nil && value {
			return
		}
		if b.ctx.Err() != nil {
			break
		}
	}
	b.t.Fatalf("never: %s; the page %s has: %s", expression, eval[string](b, "location.href"), eval[string](b, "(document.body?.innerText ?? '').slice(0, 2000)"))
}

// set gives a control a value, as a user does.
func (b *tab) set(selector, value string) {
	b.t.Helper()
	eval[bool](b, fmt.Sprintf(`(() => {
		const e = document.querySelector(%q);
		e.value = %q;
		for (const kind of ["input", "change"]) e.dispatchEvent(new Event(kind, { bubbles: true }));
		return true;
	})()`, selector, value))
}

// text is an expression: the text of what a selector finds.
func text(selector string) string {
	return fmt.Sprintf("(document.querySelector(%q)?.textContent ?? '')", selector)
}

// live waits until the page receives what happens.
func (b *tab) live() {
	b.t.Helper()
	b.until(`document.getElementById("live").dataset.live === "on"`)
}
