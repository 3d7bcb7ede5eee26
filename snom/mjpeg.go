package snom

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"

	"github.com/snom2mqtt/snom2mqtt/internal/csvtable"
)

//go:embed mjpeg.csv
var mjpegCSV string

// mjpegTable is mjpeg.csv: the least major version of the firmware that plays MJPEG, by model.
var mjpegTable = sync.OnceValue(func() map[string]int {
	table := map[string]int{}
	for _, r := range csvtable.Rows(mjpegCSV) {
		table[r[0]] = number(r[1])
	}
	return table
})

// PlaysMJPEG reports whether a phone of the model with that firmware, such as "10.1.184.14", is known to show an MJPEG
// stream. A firmware that is not known does not count.
func (m Model) PlaysMJPEG(firmware string) bool {
	least, ok := mjpegTable()[m.Name()]
	if !ok {
		return false
	}
	major, _, _ := strings.Cut(firmware, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n >= least
}
