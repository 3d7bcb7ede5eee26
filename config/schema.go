package config

import _ "embed"

// schema is made from the rows of [phoneVariables] by `make docs`; it costs nothing until it is printed.
//
//go:embed phones.schema.json
var schema string

// Schema returns the JSON schema of the phones file, for editors and other programs. What only the file as a whole shows, such as
// two phones of one address or the unknown member of a group, no schema can find: Load does.
func Schema() string { return schema }
