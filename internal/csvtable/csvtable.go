// Package csvtable reads the CSV tables that are embedded in the program.
package csvtable

import (
	"encoding/csv"
	"strings"
)

// Rows returns the rows of table below its header line. It panics if table is not CSV: tables are part of
// the program, and the tests read every one.
func Rows(table string) [][]string {
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil {
		panic("csvtable: embedded table: " + err.Error())
	}
	return rows[1:]
}
