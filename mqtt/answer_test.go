package mqtt

import "testing"

// IsAnswer and Read agree, and IsAnswer finds the topics of all results and events of phones.
func TestIsAnswer(t *testing.T) {
	t.Parallel()
	tree, err := NewTree("house/snom", "")
	if err != nil {
		t.Fatal(err)
	}
	for topic, expected := range map[string]bool{
		tree.Result("kitchen"): true, tree.Event("kitchen"): true, tree.Result("no name"): true,
		tree.BridgeResult(): false, tree.State(): false, tree.Status("kitchen"): false, tree.Command("kitchen", "dial"): false,
		"house/snom/kitchen/result/x": false, "house/snom/result": false, "house/snom/kitchen/results": false, "house/snom//result": true,
		"house/snomkitchen/result": false, "house/sno": false, "house/snom": false, "": false, "other/house/snom/kitchen/result": false,
	} {
		if got := tree.IsAnswer([]byte(topic)); got != expected || got && tree.Read(topic).Kind != KindOwn {
			t.Errorf("IsAnswer(%q) = %v, expected %v; Read says %s", topic, got, expected, tree.Read(topic).Kind)
		}
	}
}
