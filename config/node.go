package config

import "iter"

// A node is one value in the phones file.
type node struct {
	kind         kind
	cut          bool   // a comment ends the text of a scalar, and begins without a blank: perhaps none was meant
	line, column int    // from 1
	text         string // of a scalar, as it is written but for quotes and escapes: 0042 stays 0042
	parts        []node // of a list its items, of a mapping its keys and values in turn
}

type kind uint8

const (
	nothing kind = iota // no value, or null
	scalar
	list
	mapping
)

// pairs yields the keys and values of a mapping in the order of the file.
func (n *node) pairs() iter.Seq2[*node, *node] {
	return func(yield func(key, value *node) bool) {
		if n.kind != mapping {
			return
		}
		for i := 0; i+1 < len(n.parts); i += 2 {
			if !yield(&n.parts[i], &n.parts[i+1]) {
				return
			}
		}
	}
}
