//go:build !linux

package main

import "errors"

// become is for apps of Home Assistant, which run on Linux.
func become(int, int) error { return errors.ErrUnsupported }
