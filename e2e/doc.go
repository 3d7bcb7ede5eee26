// Package e2e holds the tests that look at the program from outside: the built program, real
// brokers, real clients, and simulated phones in processes of their own.
//
// What a test needs and does not find is a reason to skip it, told in plain words; with CI=true it
// is a failure.
package e2e
