// Package browser tests the console of the built program in Debian's chromium, and takes its pictures for the documents. It
// has no code of its own.
package browser
