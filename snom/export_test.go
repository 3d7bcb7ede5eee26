package snom

// Members returns the names of the JSON members of v, as its row has them.
func Members(v Verb) []string { return v.row().members }

// HasArgument reports whether v takes an argument.
func HasArgument(v Verb) bool { return v.row().only == nil }
