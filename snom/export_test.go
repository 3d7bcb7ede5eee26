package snom

// Members returns the names of the JSON members of v, as its row has them.
func Members(v Verb) []string { return v.row().members }

// HasArgument reports whether v takes an argument.
func HasArgument(v Verb) bool { return v.row().only == nil }

// Idle returns what the row of v says of an idle phone.
func Idle(v Verb) (warning, refusal string) { return v.row().idleWarning, v.row().idleRefusal }

// Incomplete returns what the row of v lacks, empty if nothing.
func Incomplete(v Verb) string {
	switch row := v.row(); {
	case (row.parse == nil) != (row.read == nil):
		return "one of parse and read"
	case (row.only == nil) == (row.parse == nil):
		return "neither only nor parse, or both"
	case row.only != nil && row.members != nil:
		return "members without an argument"
	case row.idleWarning != "" && row.idleRefusal != "":
		return "a warning and a refusal"
	}
	return ""
}

// Promptly is promptly.
const Promptly = promptly
