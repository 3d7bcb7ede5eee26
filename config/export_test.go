package config

import "strings"

// NumberOfVariables counts the variables that Load reads, those with a file beside them once.
func NumberOfVariables() int {
	all := append(names(&variables{}), names(&phoneText{})...)
	n := 0
	for i, name := range all {
		secret, isFile := strings.CutSuffix(name, "_FILE")
		if !isFile || i == 0 || all[i-1] != secret {
			n++
		}
	}
	return n
}
