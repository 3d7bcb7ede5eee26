package main

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
)

// A containerSign is something by which a program finds out that it runs in a container.
type containerSign struct {
	path     string   // from the root of the file system
	contains []string // of which the file has one; nil: that it exists is enough
	source   string
}

// containerSigns are the signs in the file system. On a machine that is no container, none of them is there.
var containerSigns = []containerSign{
	{".dockerenv", nil, "Docker: moby, daemon/initlayer/setup_unix.go"},
	{"run/.containerenv", nil, "Podman: man podman-run"},
	{"run/systemd/container", nil, "systemd: The Container Interface, systemd.io/CONTAINER_INTERFACE"},
	{"var/run/secrets/kubernetes.io/serviceaccount", nil, "Kubernetes: Configure Service Accounts for Pods"},
	{"run/secrets/kubernetes.io/serviceaccount", nil, "the same, where /var/run is a link"},
	{"proc/1/cgroup", []string{"/docker", "/kubepods", "/containerd", "/libpod", "/lxc", "/crio", "/garden", "/ecs/", "docker-", "cri-containerd"},
		"cgroup v1, or v2 without a namespace: man 7 cgroups; paths as the runtimes name them"},
	{"proc/self/mountinfo", []string{"/containers/", "/kubelet/pods/", "/containerd/", "/buildkit/", "/nerdctl/"},
		"man 5 proc_pid_mountinfo; runtimes mount /etc/hosts or /etc/resolv.conf from there"},
}

// container returns by which sign this program knows that it runs in a container, "" where it knows none. root is the
// root of the file system.
func container(root fs.FS, environ []string) string {
	for _, variable := range []string{"container", "KUBERNETES_SERVICE_HOST"} { // systemd.io/CONTAINER_INTERFACE; kubernetes.io, Service environment variables
		if slices.ContainsFunc(environ, func(e string) bool {
			value, ok := strings.CutPrefix(e, variable+"=")
			return ok && value != ""
		}) {
			return "the environment variable " + variable
		}
	}
	for _, s := range containerSigns {
		if s.contains == nil {
			if _, err := fs.Stat(root, s.path); err == nil {
				return "/" + s.path
			}
			continue
		}
		text, err := fs.ReadFile(root, s.path)
		if err != nil {
			continue
		}
		if s.path == "proc/self/mountinfo" {
			text = mountsOfNames(text)
		}
		if slices.ContainsFunc(s.contains, func(c string) bool { return bytes.Contains(text, []byte(c)) }) {
			return "/" + s.path
		}
	}
	return ""
}

// mountsOfNames returns the lines of mountinfo for the files that a container runtime mounts: mounts of others prove
// nothing, since a machine that runs containers has theirs in its own list.
func mountsOfNames(mountinfo []byte) []byte {
	var lines []byte
	for line := range bytes.Lines(mountinfo) {
		fields := bytes.Fields(line) // ID, parent, device, root, mount point, ...
		if len(fields) < 5 {
			continue
		}
		switch string(fields[4]) {
		case "/etc/hosts", "/etc/hostname", "/etc/resolv.conf":
			lines = append(append(lines, fields[3]...), '\n')
		}
	}
	return lines
}
