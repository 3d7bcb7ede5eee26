package main

import (
	"math"
	"runtime"
	"slices"
)

// percentiles returns the median and the 99th percentile.
func percentiles(samples []float64) (p50, p99 float64) {
	sorted := slices.Sorted(slices.Values(samples))
	return percentile(sorted, 0.5), percentile(sorted, 0.99)
}

// percentile is the smallest value that so much of sorted is not above; 0 when there is none.
func percentile(sorted []float64, part float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(part*float64(len(sorted))))-1)]
}

// sums adds samples of two things that happen one after the other.
func sums(a, b []float64) (all []float64) {
	for i := range min(len(a), len(b)) {
		all = append(all, a[i]+b[i])
	}
	return all
}

func median(samples []float64) float64 {
	m, _ := percentiles(samples)
	return m
}

func processors() int { return runtime.NumCPU() }
