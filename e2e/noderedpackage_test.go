package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// flowPackage is the npm package of the flows.
const flowPackage = "@snom2mqtt/node-red-flows"

// installFlows installs the package of the flows as npm does, in the folder of a Node-RED.
func installFlows(t *testing.T, dir string) {
	t.Helper()
	tool(t, "npm")
	archive := script(t, nil, "node-red-package.sh", t.TempDir())
	into := filepath.Join(dir, "node_modules", filepath.FromSlash(flowPackage))
	if err := os.MkdirAll(into, 0o700); err != nil {
		t.Fatal(err)
	}
	runTool(t, "tar", "-xzf", archive, "-C", into, "--strip-components=1")
	if _, err := os.Stat(filepath.Join(into, "README.md")); err != nil { // the flow library shows it
		t.Error(err)
	}
}

// offersFlows looks whether every flow of the package is in the Import dialog, as it is.
func (n *nodeRED) offersFlows() {
	n.t.Helper()
	for _, file := range flowFiles(n.t) {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		offered := decode[[]flowNode](n.t, string(n.ask(http.MethodGet, "/library/examples/flows/"+flowPackage+"/"+name, struct{}{})))
		if there := readFlows(n.t, file); !reflect.DeepEqual(offered, there) {
			n.t.Errorf("the flow %s is offered with %d nodes, expected %d", name, len(offered), len(there))
		}
	}
}
