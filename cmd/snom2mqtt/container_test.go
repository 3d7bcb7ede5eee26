package main

import (
	"testing"
	"testing/fstest"
)

func TestContainer(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	const init = "0::/init.scope\n"
	for _, tt := range []struct {
		name     string
		root     fstest.MapFS
		environ  []string
		expected string
	}{
		{name: "an empty file system"},
		{name: "a machine with systemd", root: fstest.MapFS{"proc/1/cgroup": file(init), "run/systemd/system/x": file(""),
			"proc/self/mountinfo": file("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n31 22 0:5 / /dev rw - devtmpfs udev rw\n")}},
		{name: "a machine that runs containers", root: fstest.MapFS{"proc/1/cgroup": file(init), "proc/self/mountinfo": file(
			"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n90 22 0:50 / /var/lib/docker/overlay2/ab/merged rw - overlay overlay rw\n" +
				"91 22 0:51 / /var/lib/containers/storage/overlay rw - overlay overlay rw\n92 22 0:52 /kubelet/pods/x/y /var/lib/kubelet/pods rw - tmpfs tmpfs rw\n")}},
		{name: "a machine with cgroup v1", root: fstest.MapFS{"proc/1/cgroup": file("12:cpuset:/\n11:devices:/init.scope\n1:name=systemd:/init.scope\n")}},
		{name: "resolv.conf that is a mount of systemd", root: fstest.MapFS{"proc/self/mountinfo": file("40 22 0:25 /systemd/resolve/stub-resolv.conf /etc/resolv.conf ro - tmpfs tmpfs rw\n")}},
		{name: "Docker", root: fstest.MapFS{".dockerenv": file("")}, expected: "/.dockerenv"},
		{name: "Podman", root: fstest.MapFS{"run/.containerenv": file("engine=\"podman-5\"\n")}, expected: "/run/.containerenv"},
		{name: "nspawn", root: fstest.MapFS{"run/systemd/container": file("systemd-nspawn")}, expected: "/run/systemd/container"},
		{name: "the environment", environ: []string{"PATH=/bin", "container=oci"}, expected: "the environment variable container"},
		{name: "the environment, empty", environ: []string{"container=", "KUBERNETES_SERVICE_HOST="}},
		{name: "a variable that begins alike", environ: []string{"containers=docker", "KUBERNETES_SERVICE_HOSTS=x", "container"}},
		{name: "Kubernetes, the environment", environ: []string{"KUBERNETES_SERVICE_HOST=10.96.0.1"}, expected: "the environment variable KUBERNETES_SERVICE_HOST"},
		{name: "Kubernetes, the account", root: fstest.MapFS{"var/run/secrets/kubernetes.io/serviceaccount/token": file("x")},
			expected: "/var/run/secrets/kubernetes.io/serviceaccount"},
		{name: "Kubernetes, cgroup v1", root: fstest.MapFS{"proc/1/cgroup": file("11:cpuset:/kubepods/burstable/pod0ab/1cd\n")}, expected: "/proc/1/cgroup"},
		{name: "Docker, cgroup v1", root: fstest.MapFS{"proc/1/cgroup": file("11:cpuset:/docker/1cd\n")}, expected: "/proc/1/cgroup"},
		{name: "containerd, cgroup v2", root: fstest.MapFS{"proc/1/cgroup": file("0::/system.slice/cri-containerd-1cd.scope\n")}, expected: "/proc/1/cgroup"},
		{name: "LXC, cgroup v1", root: fstest.MapFS{"proc/1/cgroup": file("11:cpuset:/lxc/100/ns/init.scope\n")}, expected: "/proc/1/cgroup"},
		{name: "Docker, mounts", root: fstest.MapFS{"proc/1/cgroup": file("0::/\n"), "proc/self/mountinfo": file(
			"700 600 8:1 /var/lib/docker/containers/1cd/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n")}, expected: "/proc/self/mountinfo"},
		{name: "Podman without privileges, mounts", root: fstest.MapFS{"proc/self/mountinfo": file(
			"700 600 0:70 /containers/overlay-containers/1cd/userdata/resolv.conf /etc/resolv.conf rw - tmpfs tmpfs rw\n")}, expected: "/proc/self/mountinfo"},
		{name: "lines that are none", root: fstest.MapFS{"proc/self/mountinfo": file("\n\x00\n1 2 3\n/containers/ /etc/hosts\n")}},
	} {
		if got := container(tt.root, tt.environ); got != tt.expected {
			t.Errorf("%s: %q, expected %q", tt.name, got, tt.expected)
		}
	}
	for _, s := range containerSigns {
		if s.source == "" {
			t.Errorf("%s: no source", s.path)
		}
	}
}
