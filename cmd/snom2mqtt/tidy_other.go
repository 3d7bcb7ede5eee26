//go:build !linux

package main

// leavePages does nothing: only Linux is asked.
func leavePages() {}
