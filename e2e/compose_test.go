package e2e

import (
	"archive/zip"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

// A docker is a Docker daemon of the test's own, in a network namespace and a mount namespace that only the goroutine of the test is
// in: what it starts there reaches nothing outside, and 192.0.2.10 is the address of a simulated phone.
type docker struct {
	t    *testing.T
	dir  string
	env  []string
	home string // a copy of the project, as a clone has it
}

// startDocker starts the daemon. The goroutine keeps its thread, which ends with the test, as it is never unlocked.
func startDocker(t *testing.T) *docker {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		missing(t, "the right to run a Docker daemon (root on Linux)")
	}
	tools := script(t, nil, "docker.sh")
	if !listed(tools, "docker-compose") {
		missing(t, "Docker Compose")
	}
	daemon, ip := tool(t, "dockerd"), tool(t, "ip")
	tool(t, "docker")
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWNET | syscall.CLONE_NEWNS); err != nil {
		missing(t, "the right to make namespaces: "+err.Error())
	}
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"link set lo up", "addr add 192.0.2.10/32 dev lo", "addr add 192.0.2.2/32 dev lo", "addr add 172.30.32.2/32 dev lo"} {
		runTool(t, ip, strings.Fields(args)...)
	}
	d := &docker{t: t, dir: t.TempDir(), home: t.TempDir()}
	socket := "unix://" + filepath.Join(d.dir, "docker.sock")
	configuration := filepath.Join(d.dir, "client")
	d.env = []string{"DOCKER_HOST=" + socket, "DOCKER_CONFIG=" + configuration, "BUILDKIT_PROGRESS=plain"}
	plugins := filepath.Join(configuration, "cli-plugins")
	if err := os.MkdirAll(plugins, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(tools, "docker-compose"), filepath.Join(plugins, "docker-compose")); err != nil {
		t.Fatal(err)
	}
	p := start(t, "dockerd", nil, daemon, "--iptables=false", "--log-level=warn", "--data-root", filepath.Join(d.dir, "data"),
		"--exec-root", filepath.Join(d.dir, "exec"), "--pidfile", filepath.Join(d.dir, "pid"), "-H", socket)
	t.Cleanup(func() { // containers first, then the daemon: it removes what it mounted
		_ = d.command("docker ps -aq | xargs -r docker rm -f -v").Run()
		p.stop()
		mounted, _ := filepath.Glob(filepath.Join(d.dir, "exec", "netns", "*")) // the pattern is right
		for _, m := range mounted {
			_ = syscall.Unmount(m, syscall.MNT_DETACH) // of containers on the network of the host
		}
	})
	eventually(t, "the Docker daemon runs", func() bool {
		if !p.running() {
			t.Fatal("the Docker daemon ended")
		}
		return d.command("docker info").Run() == nil
	})
	c := exec.Command("sh", "-ec", `tar -c --exclude=./.git --exclude=./bin --exclude=./dist . | tar -x -C "$0"`, d.home)
	c.Dir = ".."
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return d
}

// command is what a person types in the folder of the project.
func (d *docker) command(line string) *exec.Cmd {
	c := exec.CommandContext(d.t.Context(), "sh", "-ec", line)
	if d.t.Context().Err() != nil { // a cleanup
		c = exec.Command("sh", "-ec", line)
	}
	c.Dir = d.home
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "SNOM2MQTT_") && !strings.HasPrefix(e, "DOCKER_") && !strings.HasPrefix(e, "COMPOSE_") {
			c.Env = append(c.Env, e)
		}
	}
	c.Env = append(c.Env, d.env...)
	return c
}

// run carries a command out and returns what it printed.
func (d *docker) run(line string) string {
	d.t.Helper()
	d.t.Logf("$ %s", line)
	c := d.command(line)
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		d.t.Fatalf("%s: %v\n%s%s", line, err, out, strings.Join(tail(strings.Split(said.String(), "\n"), 40), "\n"))
	}
	return string(out)
}

// terminal carries a command out beside the test, as in another terminal.
func (d *docker) terminal(name, line string) *process {
	d.t.Helper()
	d.t.Logf("$ %s", line)
	return start(d.t, name, d.env, "/bin/sh", "-ec", "cd '"+d.home+"'; exec "+line)
}

// shellBlocks are the blocks of shell commands in a section of a document.
func shellBlocks(t *testing.T, file, heading string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	level := heading[:strings.Index(heading, " ")+1]
	_, section, ok := strings.Cut("\n"+string(text), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("%s has no %q", file, heading)
	}
	section, _, _ = strings.Cut(section, "\n"+level)
	var blocks []string
	for _, m := range regexp.MustCompile("(?ms)^ *```sh\n(.*?)^ *```$").FindAllStringSubmatch(section, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// TestCompose follows README.md's "Start" word for word, with Docker Compose and stand-ins for the images that it names, then the
// demo as docker-compose.yml describes it, then runs the image of Home Assistant's app as a Supervisor does.
func TestCompose(t *testing.T) {
	t.Parallel()
	simulator, mosquitto := program(t), tool(t, "mosquitto")
	d := startDocker(t)
	script(t, d.env, "stand-in-images.sh", "go=docker.io/library/golang:1.26", "mosquitto=docker.io/library/eclipse-mosquitto:2.0")
	phone := start(t, "phone", nil, simulator, "simulate", "--listen", "192.0.2.10:80", "--model", "D735", "--auth", "digest", "--username", "admin", "--password", "secret")
	phone.until("its address", func(_, log []string) bool { return len(log) > 0 })

	d.followReadme(phone, mosquitto)
	d.runDemo()
	d.runApp(phone, mosquitto)
}

// followReadme is a person in front of README.md.
func (d *docker) followReadme(phone *process, mosquitto string) {
	t := d.t
	t.Helper()
	blocks := shellBlocks(t, "../README.md", "## Start")
	if len(blocks) < 4 {
		t.Fatalf("README.md has %d blocks of commands under Start", len(blocks))
	}
	if out := d.run(blocks[0]); !strings.Contains(out, "login:          digest") {
		t.Errorf("probe prints %q", out)
	}
	if out := d.run(blocks[1]); !strings.Contains(out, "kitchen") {
		t.Errorf("check prints %q", out)
	}
	lines := strings.Split(strings.TrimSpace(blocks[2]), "\n")
	if len(lines) != 3 {
		t.Fatalf("starting takes the lines %q", lines)
	}
	d.run(lines[0])
	listener := d.terminal("listener", lines[1])
	listener.until("the bridge is online", contains("snom/bridge/state online"))
	d.run(lines[2])
	listener.until("the result of the command", contains(`"command":"key"`, `"code":"ok"`))
	phone.until("the phone pressed the key", contains("VOLUME_UP", `"executed":true`))

	// What the container's user may do, the health check and the report as the documents have them.
	d.run("docker compose exec snom2mqtt /snom2mqtt healthcheck")
	report := []byte(d.run("docker compose exec -T snom2mqtt /snom2mqtt report --output -"))
	if files, err := zip.NewReader(bytes.NewReader(report), int64(len(report))); err != nil || len(files.File) == 0 {
		t.Errorf("the report is no archive: %v", err)
	} else if bytes.Contains(report, []byte("secret")) {
		t.Error("the report has the password")
	}
	if uid := strings.Fields(d.run("docker compose top snom2mqtt")); !slices.Contains(uid, "65532") {
		t.Errorf("the bridge does not run as user 65532: %q", uid)
	}

	// With a broker that they have: 192.0.2.2, with a password.
	mine := shellBlocks(t, "../README.md", "### With a broker that you have")
	passwords, configuration := filepath.Join(d.dir, "passwords"), filepath.Join(d.dir, "mosquitto.conf")
	runTool(t, tool(t, "mosquitto_passwd"), "-b", "-c", passwords, "snom2mqtt", "secret")
	if err := os.Chmod(passwords, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(configuration, []byte("user root\nlistener 1883 192.0.2.2\nallow_anonymous false\npassword_file "+passwords+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, "broker", nil, mosquitto, "-c", configuration)
	eventually(t, "the other broker runs", func() bool {
		return d.command("mosquitto_pub -h 192.0.2.2 -u snom2mqtt -P secret -t test -n").Run() == nil
	})
	d.run(mine[0])
	state := d.terminal("state", "mosquitto_sub -h 192.0.2.2 -u snom2mqtt -P secret -v -t snom/bridge/state")
	state.until("the bridge is online at the other broker", contains("snom/bridge/state online"))

	d.run("docker compose stop")
	state.until("the bridge is offline", contains("snom/bridge/state offline"))
	if ended := d.run(`docker inspect -f '{{.State.ExitCode}}' $(docker compose ps -aq snom2mqtt)`); strings.TrimSpace(ended) != "0" {
		t.Errorf("the bridge ended with exit code %s", ended)
	}
	d.run("docker compose down -v && rm .env && rm -r my-phones")
	listener.wait()
}

// runDemo types what the first lines of docker-compose.yml say.
func (d *docker) runDemo() {
	t := d.t
	t.Helper()
	text, err := os.ReadFile("../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, m := range regexp.MustCompile(`(?m)^#   (docker compose .*)$`).FindAllStringSubmatch(string(text), -1) {
		lines = append(lines, m[1])
	}
	if len(lines) != 3 {
		t.Fatalf("docker-compose.yml has the commands %q", lines)
	}
	demo := d.terminal("demo", lines[0])
	eventually(t, "the broker of the demo runs", func() bool { return d.command("docker compose exec mosquitto mosquitto_pub -t test -n").Run() == nil })
	listener := d.terminal("listener", lines[1])
	listener.until("the phones are online", func(out, _ []string) bool {
		return slices.Contains(out, "snom/kitchen/availability online") && slices.Contains(out, "snom/hall/availability online")
	})
	d.run(lines[2])
	listener.until("the result of the command", contains("snom/kitchen/result", `"command":"dial"`, `"code":"ok"`))
	if err := demo.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	demo.wait() // its own exit code says nothing: Docker Compose 2.26 sometimes fails when it has stopped everything
	d.run("docker compose --profile demo stop")
	if ended := d.run(`docker inspect -f '{{.Name}} {{.State.ExitCode}}' $(docker compose --profile demo ps -aq snom2mqtt phones)`); strings.Count(ended, " 0\n") != 2 {
		t.Errorf("the demo was interrupted, and its containers ended with exit codes %q", ended)
	}
	d.run("docker compose --profile demo down -v")
	listener.wait()
}

// runApp builds the image of the app on that of the bridge, as the workflow does, and starts it as a Supervisor does: with the
// network of the machine, its own address, a token, and the options in a file that only root reads.
func (d *docker) runApp(phone *process, mosquitto string) {
	t := d.t
	t.Helper()
	var app struct {
		Version, Image string
		Ingress        bool
		Port           int  `yaml:"ingress_port"`
		Network        bool `yaml:"host_network"`
		Timeout        int
		Schema         map[string]any
	}
	text, err := os.ReadFile("../examples/homeassistant-app/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &app); err != nil {
		t.Fatal(err)
	}
	release := app.Image + ":" + app.Version
	for _, tag := range []string{app.Version, "edge"} {
		d.run(fmt.Sprintf("docker tag snom2mqtt:local ghcr.io/snom2mqtt/snom2mqtt:%[1]s && docker build --build-arg BUILD_VERSION=%[1]s -t %[2]s:%[1]s examples/homeassistant-app", tag, app.Image))
	}
	configuration := filepath.Join(d.dir, "core.conf")
	if err := os.WriteFile(configuration, []byte("user root\nlistener 1884 127.0.0.1\nallow_anonymous true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, "core_mosquitto", nil, mosquitto, "-c", configuration)
	eventually(t, "the broker of the app runs", func() bool { return d.command("mosquitto_pub -h 127.0.0.1 -p 1884 -t test -n").Run() == nil })
	supervisor := http.NewServeMux()
	supervisor.HandleFunc("GET /services/mqtt", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer supervisor-secret" {
			http.Error(w, `{"result":"error"}`, http.StatusForbidden)
			return
		}
		fmt.Fprint(w, `{"result":"ok","data":{"addon":"core_mosquitto","host":"127.0.0.1","port":1884,"ssl":false,"username":"","password":"","protocol":"3.1.1"}}`)
	})
	listener, err := net.Listen("tcp", "172.30.32.2:80")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: supervisor, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); <-done })

	data := filepath.Join(d.dir, "app")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	options := `{"phones": [{"name": "kitchen", "url": "http://192.0.2.10", "username": "admin", "password": "secret"}], "phones_call": "http://192.0.2.10:8095", "settings": ["COMMAND_TTL=10s"], "log_level": "debug"}`
	if err := os.WriteFile(filepath.Join(data, "options.json"), []byte(options), 0o600); err != nil {
		t.Fatal(err)
	}
	core := d.terminal("core", "mosquitto_sub -h 127.0.0.1 -p 1884 -v -t snom/#")
	const run = "docker run -d --name %s --network host --init --add-host supervisor:172.30.32.2 -e SUPERVISOR_TOKEN=supervisor-secret -v %s:/data %s"
	d.run(fmt.Sprintf(run, "app", data, release))
	core.until("the bridge is online", contains("snom/bridge/state online"))
	d.run("mosquitto_pub -h 127.0.0.1 -p 1884 -t snom/kitchen/dial -m 28")
	core.until("the result of the command", contains("snom/kitchen/result", `"command":"dial"`, `"code":"ok"`))
	d.run("mosquitto_pub -h 127.0.0.1 -p 1884 -t snom/bridge/request/install -m kitchen")
	core.until("the phone has its action URLs", contains("snom/bridge/response/install", `"ok":true`))
	phone.until("the phone dialed", contains("number=28", `"executed":true`))
	d.appIsSafe(data, app.Port)

	// An update: the edge channel with the same data.
	d.run(fmt.Sprintf("docker stop -t %d app", app.Timeout))
	core.until("the bridge is offline", contains("snom/bridge/state offline"))
	if code := strings.TrimSpace(d.run("docker inspect -f '{{.State.ExitCode}}' app")); code != "0" {
		t.Errorf("the app ends with exit code %s", code)
	}
	before := len(core.stdout())
	d.run(fmt.Sprintf(run, "edge", data, app.Image+":edge"))
	core.until("the edge channel is online", func(out, _ []string) bool {
		return slices.Contains(out[before:], "snom/bridge/state online")
	})
	d.run("docker rm -f edge app")
}

// appIsSafe looks at the app from outside and inside: it is not root, reads no options any more, and its console answers the
// Supervisor alone.
func (d *docker) appIsSafe(data string, port int) {
	t := d.t
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(d.run("docker top app -eo uid,pid,args | grep -v docker-init")), "\n")[1:] {
		if fields := strings.Fields(line); fields[0] != "65532" {
			t.Errorf("a process of the app is not of user 65532: %s", line)
		}
	}
	if info, err := os.Stat(filepath.Join(data, "options.json")); err != nil || info.Mode().Perm() != 0o600 || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("the options belong to another user than root: %v, %v", info, err)
	}
	get := func(from string) (int, string) {
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: timeLimit}
		c, err := dialer.DialContext(t.Context(), "tcp", fmt.Sprintf("%s:%d", from, port))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET / HTTP/1.0\r\nHost: %s:%d\r\nX-Ingress-Path: /api/hassio_ingress/abc\r\n\r\n", from, port)
		var answer bytes.Buffer
		if _, err := answer.ReadFrom(c); err != nil {
			t.Fatal(err)
		}
		var status int
		if _, err := fmt.Sscanf(answer.String(), "HTTP/1.0 %d", &status); err != nil {
			t.Fatalf("%v: %q", err, answer.String())
		}
		return status, answer.String()
	}
	if status, page := get("172.30.32.2"); status != http.StatusOK || !strings.Contains(page, "kitchen") {
		t.Errorf("the Supervisor gets the status %d:\n%s", status, page)
	}
	if status, page := get("192.0.2.10"); status == http.StatusOK {
		t.Errorf("others than the Supervisor get the console:\n%s", page)
	}
}

// contains reports whether one line of standard output has all these texts.
func contains(texts ...string) func(out, log []string) bool {
	return func(out, _ []string) bool {
		return slices.ContainsFunc(out, func(line string) bool {
			return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) })
		})
	}
}
