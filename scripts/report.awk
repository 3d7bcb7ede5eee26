# Reads the output of `go test -v` and prints the part that matters: a line for each package, the whole output of a
# package that failed, and at the end the tests that failed, each with the first lines that it said, and which tests were
# skipped, with the reason. With each=1 also a line for each test as it ends.

/^=== (RUN|NAME|CONT|PAUSE)/ { test = $3; next }
each && /^--- / { print $2, $3, $4; fflush() }
/^ *--- PASS/ { next }
/^ *--- FAIL/ { failed[++fails] = $3 ":\n" first[$3]; test = $3 }
/^ *--- SKIP/ { skipped[++skips] = $3 ": " reason[$3] }
/^(ok|FAIL|\?) *\t/ {
	if ($1 == "FAIL") printf "%s", said
	print
	fflush()
	said = ""
	delete reason
	delete first
	delete lines
	next
}
{
	said = said $0 "\n"
	line = $0
	sub(/^ +/, "", line)
	reason[test] = line
	if (++lines[test] <= 10) first[test] = first[test] "    " line "\n"
}
END {
	printf "%s", said # of go itself, or of a run that was cut off
	for (i = 1; i <= fails; i++) printf "FAILED: %s", failed[i]
	for (i = 1; i <= skips; i++) print "SKIPPED: " skipped[i]
	if (!skips) print "nothing was skipped"
}
