package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is a program that runs beside this one.
type process struct {
	name  string
	cmd   *exec.Cmd
	began int64
	done  chan struct{}
	log   string // the file that has what it says
}

// startProcess runs a program. env is added to an environment without settings of the bridge.
func startProcess(dir, name string, env []string, path string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(path, args...), done: make(chan struct{}), log: filepath.Join(dir, name+".log")}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "SNOM2MQTT_") {
			p.cmd.Env = append(p.cmd.Env, e)
		}
	}
	p.cmd.Env = append(p.cmd.Env, env...)
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.began = now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // stop waits for it
		_ = p.cmd.Wait() // how it ended is in its log
		close(p.done)
	}()
	return p, nil
}

// stop ends the process.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill() // as above
		<-p.done
	}
}

// died is what the process said, if it has ended.
func (p *process) died() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	said, err := os.ReadFile(p.log)
	return errors.Join(fmt.Errorf("%s ended: %s", p.name, bytes.TrimSpace(said)), err)
}

// cpu is the processor time that the process has used.
func (p *process) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, after, _ := bytes.Cut(stat, []byte(") "))
	fields := strings.Fields(string(after))
	if len(fields) < 13 {
		return 0
	}
	return ticks(fields[11], fields[12])
}

// ticks adds times in the unit of /proc, which is 10 ms on every Linux there is.
func ticks(fields ...string) (sum time.Duration) {
	for _, f := range fields {
		n, _ := strconv.ParseInt(f, 10, 64) // the kernel writes numbers
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	return sum
}

// rss is the memory of the process that is in RAM, in MiB.
func (p *process) rss() float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, after, _ := bytes.Cut(status, []byte("VmRSS:"))
	kib, _ := strconv.ParseFloat(strings.Fields(string(after))[0], 64) // the kernel writes a number
	return kib / 1024
}

// settle waits until the process has used next to nothing for a moment.
func (p *process) settle() {
	for quiet, last := 0, p.cpu(); quiet < 5; {
		time.Sleep(300 * time.Millisecond)
		used := p.cpu()
		if quiet++; used-last > 10*time.Millisecond {
			quiet = 0
		}
		last = used
	}
}

// machineTime is the time that all processors of the machine were busy.
func machineTime() time.Duration {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal
	if len(fields) < 9 {
		return 0
	}
	return ticks(fields[1], fields[2], fields[3], fields[6], fields[7], fields[8])
}

// ownTime is the processor time that this process has used.
func ownTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
