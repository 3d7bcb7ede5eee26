//go:build !linux

package main

// releasePages does nothing: it is implemented for Linux only.
func releasePages() {}
