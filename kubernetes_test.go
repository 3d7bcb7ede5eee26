package snom2mqtt_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// A manifest is what these tests read of one object in a file for Kubernetes.
type manifest struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string // of a ConfigMap
	Spec     struct {
		ServiceName string `yaml:"serviceName"`
		Replicas    int
		Selector    struct {
			App         string            // of a Service
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				EnableServiceLinks *bool `yaml:"enableServiceLinks"`
				Containers         []container
				Volumes            []struct {
					Name      string
					ConfigMap struct{ Name string } `yaml:"configMap"`
					Secret    struct {
						SecretName string `yaml:"secretName"`
					}
				}
			}
		}
	}
}

type container struct {
	Image string
	Env   []struct {
		Name, Value string
		ValueFrom   struct {
			FieldRef struct {
				FieldPath string `yaml:"fieldPath"`
			} `yaml:"fieldRef"`
		} `yaml:"valueFrom"`
	}
	Ports []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	LivenessProbe  probe                              `yaml:"livenessProbe"`
	ReadinessProbe probe                              `yaml:"readinessProbe"`
	VolumeMounts   []struct{ Name, MountPath string } `yaml:"volumeMounts"`
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

func readManifests(tb testing.TB) map[string]manifest {
	tb.Helper()
	all := map[string]manifest{}
	for d := yaml.NewDecoder(strings.NewReader(read(tb, "examples/kubernetes/snom2mqtt.yml"))); ; {
		var m manifest
		err := d.Decode(&m)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			tb.Fatal(err)
		}
		all[m.Kind] = m
	}
}

// TestKubernetesObjects: they name one another rightly.
func TestKubernetesObjects(t *testing.T) {
	t.Parallel()
	all := readManifests(t)
	set, service := all["StatefulSet"], all["Service"]
	app := set.Spec.Template.Metadata.Labels["app"]
	if app == "" || set.Spec.Selector.MatchLabels["app"] != app || service.Spec.Selector.App != app {
		t.Errorf("labels and selectors differ: %v, %v, %q", set.Spec.Template.Metadata.Labels, set.Spec.Selector.MatchLabels, service.Spec.Selector.App)
	}
	if set.Spec.ServiceName != service.Metadata.Name {
		t.Errorf("serviceName %q, expected %q", set.Spec.ServiceName, service.Metadata.Name)
	}
	pod := set.Spec.Template.Spec
	if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
		t.Error("enableServiceLinks must be false: its variables are no settings")
	}
	c := pod.Containers[0]
	if _, tag, ok := strings.Cut(c.Image, ":"); !ok || tag == "latest" {
		t.Errorf("image %q has no version", c.Image)
	}
	if c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe.HTTPGet.Path != "/readyz" ||
		c.LivenessProbe.HTTPGet.Port != c.Ports[0].Name || c.ReadinessProbe.HTTPGet.Port != c.Ports[0].Name {
		t.Errorf("probes %+v and %+v, port %q", c.LivenessProbe, c.ReadinessProbe, c.Ports[0].Name)
	}
	for _, v := range pod.Volumes {
		if v.ConfigMap.Name != "" && v.ConfigMap.Name != all["ConfigMap"].Metadata.Name {
			t.Errorf("volume %s is of %q, which is not here", v.Name, v.ConfigMap.Name)
		}
		mounted := slices.ContainsFunc(c.VolumeMounts, func(m struct{ Name, MountPath string }) bool { return m.Name == v.Name })
		if !mounted {
			t.Errorf("volume %s is not mounted", v.Name)
		}
	}
}

// TestKubernetesPartitions: every pod finds its phones file and starts with its settings, and no phone is in two of them.
func TestKubernetesPartitions(t *testing.T) {
	t.Parallel()
	all := readManifests(t)
	set, files := all["StatefulSet"], all["ConfigMap"].Data
	if len(files) != set.Spec.Replicas || len(files) < 2 {
		t.Errorf("%d phones files for %d replicas", len(files), set.Spec.Replicas)
	}
	secrets := t.TempDir()
	for _, name := range []string{"mqtt", "console", "phones"} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := map[string]string{} // pod, by name and by address of a phone
	for i := range set.Spec.Replicas {
		pod := fmt.Sprintf("%s-%d", set.Metadata.Name, i)
		folder := t.TempDir()
		here := strings.NewReplacer("/run/secrets/snom2mqtt", secrets, "/etc/snom2mqtt", folder, "$(SNOM2MQTT_INSTANCE)", pod)
		if err := os.WriteFile(filepath.Join(folder, pod+".yml"), []byte(here.Replace(files[pod+".yml"])), 0o600); err != nil {
			t.Fatal(err)
		}
		var environ []string
		c := set.Spec.Template.Spec.Containers[0]
		for _, e := range c.Env {
			value := here.Replace(e.Value)
			if e.ValueFrom.FieldRef.FieldPath == "metadata.name" {
				value = pod
			}
			environ = append(environ, e.Name+"="+value)
		}
		settings, err := config.Load(t.Context(), environ)
		if err != nil {
			t.Errorf("%s: %v", pod, err)
			continue
		}
		if settings.Instance != pod {
			t.Errorf("instance %q, expected %q", settings.Instance, pod)
		}
		if _, err := mqtt.NewTree(settings.BaseTopic, settings.Instance); err != nil {
			t.Error(err)
		}
		if want := fmt.Sprintf("0.0.0.0:%d", c.Ports[0].ContainerPort); settings.Console.Listen != want {
			t.Errorf("the console listens on %q, expected %q", settings.Console.Listen, want)
		}
		for _, p := range settings.Roster.Phones {
			for _, key := range []string{p.Name, p.URL} {
				if at[key] != "" {
					t.Errorf("%s is in %s and %s", key, at[key], pod)
				}
				at[key] = pod
			}
		}
	}
}
