package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// An accessRule is one line of an AppArmor profile about files.
type accessRule struct {
	path  *regexp.Regexp
	modes string
}

// readProfile returns the rules about files of an AppArmor profile, and its other lines, as AppArmor's own parser expands it.
func readProfile(t *testing.T, file string) (files []accessRule, others []string) {
	t.Helper()
	parser := tool(t, "apparmor_parser")
	runTool(t, parser, "--skip-kernel-load", "--skip-cache", file) // it compiles
	variable := regexp.MustCompile(`^(@\{\w+\})\s*\+?=\s*(.*)$`)
	rule := regexp.MustCompile(`^(?:owner )?(\S+)\s+([rwaklmixPpCcUu]+),$`)
	values := map[string]string{}
	for _, line := range strings.Split(runTool(t, parser, "--preprocess", file), "\n") {
		line = strings.TrimSpace(line)
		if v := variable.FindStringSubmatch(line); v != nil {
			alternatives := strings.Fields(v[2])
			for i := range alternatives {
				alternatives[i] = strings.TrimSuffix(alternatives[i], "/")
			}
			values[v[1]] = "{" + strings.Join(alternatives, ",") + "}"
			continue
		}
		r := rule.FindStringSubmatch(line)
		if r == nil {
			others = append(others, line)
			continue
		}
		path := r[1]
		for range 5 { // variables have variables
			path = regexp.MustCompile(`@\{\w+\}`).ReplaceAllStringFunc(path, func(name string) string { return values[name] })
		}
		files = append(files, accessRule{globExpression(path), r[2]})
	}
	return files, others
}

// globExpression is a path of a profile as a regular expression.
func globExpression(glob string) *regexp.Regexp {
	var b strings.Builder
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; {
		case strings.HasPrefix(glob[i:], "**"):
			b.WriteString(".*")
			i++
		case c == '*':
			b.WriteString("[^/]*")
		case c == '?':
			b.WriteString("[^/]")
		case c == '{':
			b.WriteString("(?:")
		case c == '}':
			b.WriteString(")")
		case c == ',':
			b.WriteString("|")
		case c == '[' || c == ']' || c == '^' || c == '-':
			b.WriteByte(c)
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return regexp.MustCompile("^" + b.String() + "$")
}

// opened returns the files that the trace of strace says were opened, with the modes that AppArmor has for that.
func opened(trace string) map[string]string {
	open := regexp.MustCompile(`(?:openat\(AT_FDCWD, |unlinkat\(AT_FDCWD, |renameat2?\(AT_FDCWD, |mkdirat\(AT_FDCWD, )"([^"]+)"(?:, AT_FDCWD, "([^"]+)")?(?:, (O_[A-Z_|]+))?`)
	unfinished := map[string]string{}
	files := map[string]string{}
	for _, line := range strings.Split(trace, "\n") {
		pid, call, _ := strings.Cut(line, " ")
		call = strings.TrimSpace(call)
		if before, cut := strings.CutSuffix(call, " <unfinished ...>"); cut {
			unfinished[pid] = before
			continue
		}
		if _, after, resumed := strings.Cut(call, "resumed>"); resumed {
			call = unfinished[pid] + after
		}
		m := open.FindStringSubmatch(call)
		if m == nil || strings.Contains(call, " = -1 ") {
			continue
		}
		mode := "w"
		switch {
		case m[3] == "" || strings.Contains(m[3], "O_WRONLY"):
		case strings.Contains(m[3], "O_RDWR"):
			mode = "rw"
		default:
			mode = "r"
		}
		for _, path := range m[1:3] {
			if path != "" {
				files[path] += mode
			}
		}
	}
	return files
}

// TestAppArmor runs the app with the options of a Supervisor and looks whether its AppArmor profile permits each file that it opens,
// its sockets, and that it becomes another user. The kernel that enforces the profile is not needed for that.
func TestAppArmor(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		missing(t, "root, as which the app starts")
	}
	strace := tool(t, "strace")
	files, others := readProfile(t, "../examples/homeassistant-app/apparmor.txt")
	m := startMosquitto(t)
	phones := startPhones(t, 1, "--name", "kitchen")
	supervisor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"result":"ok","data":{"host":"127.0.0.1","port":%d,"ssl":false,"username":"","password":""}}`, m.port)
	}))
	t.Cleanup(supervisor.Close)
	data, calls, console := t.TempDir(), freePort(t), freePort(t)
	for folder := data; folder != os.TempDir() && folder != "/"; folder = filepath.Dir(folder) {
		if err := os.Chmod(folder, 0o755); err != nil { //nolint:gosec // it is another user's
			t.Fatal(err)
		}
	}
	options := fmt.Sprintf(`{"phones":[{"name":"kitchen","url":%q}],"phones_call":"http://127.0.0.1:%d","settings":["CONSOLE_LISTEN=127.0.0.1:%d"]}`, phones.urls[0], calls, console)
	if err := os.WriteFile(filepath.Join(data, "options.json"), []byte(options), 0o600); err != nil {
		t.Fatal(err)
	}
	trace := filepath.Join(t.TempDir(), "trace")
	w := m.watch("snom/#")
	b := start(t, "app", []string{"SUPERVISOR_TOKEN=supervisor-secret"}, strace, "-f", "-qq", "-s", "500", "-o", trace, "-e", "trace=%file,socket",
		program(t), "app", "--user", "65532:65532", "--data", data, "--supervisor", supervisor.URL, "--listen", fmt.Sprintf("127.0.0.1:%d", calls))
	w.on("snom/bridge/state", 1)
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", b.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	app, err := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if b.running() {
			_ = syscall.Kill(app, syscall.SIGKILL) // it would outlive strace
		}
	})
	m.publish("snom/kitchen/dial", "+4930123")
	if r := w.results("snom/kitchen/result", 1)[0]; !r.OK {
		t.Errorf("%+v, want ok", r)
	}
	for _, page := range []string{"/healthz", "/metrics", "/", "/phones/kitchen"} {
		answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", console, page)) //nolint:noctx // it has a time limit of its own
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	// strace ends, and its trace is complete, when the program has ended.
	if err := syscall.Kill(app, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := b.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	found := opened(string(text))
	if len(found) < 5 {
		t.Fatalf("the trace has the files %q", found)
	}
	for file, modes := range found {
		inside := strings.Replace(file, data, "/data", 1)
		inside = strings.Replace(strings.Replace(inside, "/proc/self/", "/proc/1/", 1), "/proc/thread-self/", "/proc/1/task/1/", 1)
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			inside += "/"
		}
		for _, mode := range modes {
			if !slices.ContainsFunc(files, func(r accessRule) bool { return strings.ContainsRune(r.modes, mode) && r.path.MatchString(inside) }) {
				t.Errorf("the profile denies %q of %s", mode, inside)
			}
		}
	}
	for family, rule := range map[string]string{"AF_INET": "network inet stream,", "AF_INET6": "network inet6 stream,", "AF_NETLINK": "network netlink raw,"} {
		if strings.Contains(string(text), "socket("+family+",") && !slices.Contains(others, rule) {
			t.Errorf("the profile has no rule %s", rule)
		}
	}
	for _, rule := range []string{"capability setuid,", "capability setgid,", "capability chown,"} {
		if !slices.Contains(others, rule) {
			t.Errorf("the profile has no rule %s", rule)
		}
	}
}
