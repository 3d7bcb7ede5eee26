//go:build !unix

package textfile

const nonblock = 0
