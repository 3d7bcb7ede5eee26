# Reads the output of `go test -v` and prints what a person wants of it: a line for each package, all that a
# package said which failed, and which tests were skipped, with the reason.

/^=== (RUN|NAME|CONT|PAUSE)/ { test = $3; next }
/^ *--- PASS/ { next }
/^ *--- SKIP/ { skipped[++skips] = $3 ": " reason[$3] }
/^(ok|FAIL|\?) *\t/ {
	if ($1 == "FAIL") printf "%s", said
	print
	said = ""
	delete reason
	next
}
{
	said = said $0 "\n"
	line = $0
	sub(/^ +/, "", line)
	reason[test] = line
}
END {
	printf "%s", said # of go itself, or of a run that was cut off
	for (i = 1; i <= skips; i++) print "SKIPPED: " skipped[i]
	if (!skips) print "nothing was skipped"
}
