package snom

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/icholy/digest"
)

// headers are the challenges of a 401 with these headers.
func headers(lines ...string) []challenge { return challenges(lines) }

// both are the challenges of a 401, offered and all of them permitted.
func both(lines ...string) (offered, permitted []challenge) {
	return headers(lines...), headers(lines...)
}

// What phones may send is not documented, so every spelling either works or is refused before
// credentials are spent on it.
func TestChallenges(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		lines  []string
		want   Scheme // empty: refused
		says   string // in the refusal
		realm  string
		nonce  string
		opaque string
		qop    []string
		sess   bool
	}{
		{name: "basic", lines: []string{`Basic realm="snom"`}, want: SchemeBasic, realm: "snom"},
		{name: "basic, no realm", lines: []string{`Basic`}, want: SchemeBasic},
		{name: "basic, lower case", lines: []string{`basic Realm=snom`}, want: SchemeBasic, realm: "snom"},
		{name: "digest, RFC 2069", lines: []string{`Digest realm="snom", nonce="abc"`}, want: SchemeDigest, realm: "snom", nonce: "abc"},
		{
			name: "digest, RFC 2617", lines: []string{`Digest realm="snom", qop="auth,auth-int", nonce="abc", opaque="xyz"`},
			want: SchemeDigest, realm: "snom", nonce: "abc", opaque: "xyz", qop: []string{"auth", "auth-int"},
		},
		{
			name: "upper-case names", lines: []string{`DIGEST REALM="snom", NONCE="abc", QOP="AUTH", ALGORITHM="md5"`},
			want: SchemeDigest, realm: "snom", nonce: "abc", qop: []string{"auth"},
		},
		{
			name: "space in qop", lines: []string{`Digest realm="snom", nonce="abc", qop="auth-int, auth"`},
			want: SchemeDigest, realm: "snom", nonce: "abc", qop: []string{"auth-int", "auth"},
		},
		{name: "empty qop", lines: []string{`Digest realm="snom", nonce="abc", qop=""`}, want: SchemeDigest, realm: "snom", nonce: "abc"},
		{name: "unquoted qop", lines: []string{`Digest realm="snom", nonce="abc", qop=auth`}, want: SchemeDigest, realm: "snom", nonce: "abc", qop: []string{"auth"}},
		{
			name: "MD5-sess", lines: []string{`Digest realm="snom", nonce="abc", qop="auth", algorithm=MD5-sess`},
			want: SchemeDigest, realm: "snom", nonce: "abc", qop: []string{"auth"}, sess: true,
		},
		{name: "no spaces", lines: []string{`Digest realm="snom",nonce="abc"`}, want: SchemeDigest, realm: "snom", nonce: "abc"},
		{name: "tabs", lines: []string{"Digest\trealm=\"snom\",\tnonce=\"abc\""}, want: SchemeDigest, realm: "snom", nonce: "abc"},
		{name: "spaces around =", lines: []string{`Digest realm = "snom" , nonce = "abc"`}, want: SchemeDigest, realm: "snom", nonce: "abc"},
		{name: "commas missing", lines: []string{`Digest realm="snom" nonce="abc"`}, want: SchemeDigest, realm: "snom", nonce: "abc"},
		{name: "commas and quotes missing", lines: []string{"Digest realm=snom nonce=YWJj+/==\tqop=\"auth, auth-int\""}, want: SchemeDigest, realm: "snom", nonce: "YWJj+/==", qop: []string{"auth", "auth-int"}},
		{name: "blank in a value without quotes", lines: []string{`Digest realm=my phone = mine, nonce=abc`}, want: SchemeDigest, realm: "my phone = mine", nonce: "abc"},
		{name: "trailing comma", lines: []string{`Digest realm="snom", nonce="abc",`}, want: SchemeDigest, realm: "snom", nonce: "abc"},
		{name: "leading commas", lines: []string{`, ,Digest realm="snom", nonce="abc"`}, want: SchemeDigest, realm: "snom", nonce: "abc"},
		{name: "unquoted", lines: []string{`Digest realm=my_phone.local, nonce=YWJj+/==`}, want: SchemeDigest, realm: "my_phone.local", nonce: "YWJj+/=="},
		{name: "escaped quotes", lines: []string{`Digest realm="my \"snom\" \\", nonce="abc"`}, want: SchemeDigest, realm: `my "snom" \`, nonce: "abc"},
		{name: "comma in the realm", lines: []string{`Digest realm="Basic realm=1, 2", nonce="abc"`}, want: SchemeDigest, realm: "Basic realm=1, 2", nonce: "abc"},
		{name: "UTF-8", lines: []string{`Digest realm="Küche", nonce="abc"`}, want: SchemeDigest, realm: "Küche", nonce: "abc"},
		{name: "Latin-1", lines: []string{"Digest realm=\"K\xfcche\", nonce=\"abc\""}, want: SchemeDigest, realm: "K\xfcche", nonce: "abc"},
		{name: "twice the same name", lines: []string{`Digest realm="snom", nonce="abc", nonce="def"`}, want: SchemeDigest, realm: "snom", nonce: "abc"},
		{name: "basic, then digest", lines: []string{`Basic realm="b"`, `Digest realm="d", nonce="abc"`}, want: SchemeDigest, realm: "d", nonce: "abc"},
		{name: "digest, then basic", lines: []string{`Digest realm="d", nonce="abc"`, `Basic realm="b"`}, want: SchemeDigest, realm: "d", nonce: "abc"},
		{name: "folded, basic first", lines: []string{`Basic realm="b", Digest realm="d", nonce="abc"`}, want: SchemeDigest, realm: "d", nonce: "abc"},
		{name: "folded, digest first", lines: []string{`Digest realm="d", nonce="abc", Basic realm="b"`}, want: SchemeDigest, realm: "d", nonce: "abc"},
		{name: "folded, bare basic", lines: []string{`Basic, Digest realm="d", nonce="abc"`}, want: SchemeDigest, realm: "d", nonce: "abc"},
		{
			name:  "MD5 before SHA-256",
			lines: []string{`Digest realm="d", nonce="sha", algorithm=SHA-256`, `Digest realm="d", nonce="md5", algorithm=MD5`},
			want:  SchemeDigest, realm: "d", nonce: "md5",
		},
		{name: "SHA-256 alone", lines: []string{`Digest realm="d", nonce="abc", algorithm=SHA-256`}, want: SchemeDigest, realm: "d", nonce: "abc"},
		{name: "among strangers", lines: []string{`Negotiate YWJj==, NTLM`, `Digest realm="d", nonce="abc"`}, want: SchemeDigest, realm: "d", nonce: "abc"},
		{name: "digest that cannot be answered, and basic", lines: []string{`Digest realm="d", nonce="abc", algorithm=SHA-1`, `Basic realm="b"`}, want: SchemeBasic, realm: "b"},

		{name: "nothing", says: "without a challenge"},
		{name: "empty", lines: []string{""}, says: "without a challenge"},
		{name: "only parameters", lines: []string{`realm="snom", nonce="abc"`}, says: "without a challenge"},
		{name: "only a quoted word", lines: []string{`"Basic"`}, says: "without a challenge"},
		{name: "strangers", lines: []string{`NTLM, Negotiate`}, says: `asks for "ntlm"`},
		{name: "unknown algorithm", lines: []string{`Digest realm="snom", nonce="abc", algorithm=MD4`}, says: `algorithm "MD4"`},
		{name: "session of another algorithm", lines: []string{`Digest realm="snom", nonce="abc", algorithm=SHA-256-sess`}, says: `algorithm "SHA-256-sess"`},
		{name: "unknown qop", lines: []string{`Digest realm="snom", nonce="abc", qop="token"`}, says: `qop "token"`},
		{name: "no nonce", lines: []string{`Digest realm="snom"`}, says: "no nonce"},
		{name: "bare digest", lines: []string{`Digest`}, says: "no nonce"},
		{name: "quote missing", lines: []string{`Digest realm="snom, nonce="abc"`}, says: "nonce"},
		{name: "quote missing at the end", lines: []string{`Digest realm="snom", nonce="abc`}, says: "quote is missing"},
		{name: "stray quoted word", lines: []string{`Digest "realm`}, says: "quote is missing"},
		{name: "ends in a backslash", lines: []string{`Digest realm="snom", nonce="abc\`}, says: "quote is missing"},
		{name: "control character", lines: []string{"Digest realm=\"a\x01b\", nonce=\"abc\""}, says: "control characters"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := login{}.next(both(tt.lines...))
			if l.scheme != tt.want {
				t.Fatalf("next(%q) = %q, %v, expected %q", tt.lines, l.scheme, err, tt.want)
			}
			if tt.want == "" {
				if !errors.Is(err, ErrUnauthorized) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("next(%q): %v, expected ErrUnauthorized that says %q", tt.lines, err, tt.says)
				}
				return
			}
			if err != nil {
				t.Errorf("next(%q): %v, expected no error", tt.lines, err)
			}
			c := l.challenge
			if l.realm != tt.realm || c.Nonce != tt.nonce || c.Opaque != tt.opaque || !slices.Equal(c.QOP, tt.qop) || l.session != tt.sess {
				t.Errorf("next(%q) = %+v, expected realm %q nonce %q opaque %q qop %q session %t",
					tt.lines, l, tt.realm, tt.nonce, tt.opaque, tt.qop, tt.sess)
			}
		})
	}
}

// The examples of the RFCs, but for the client's nonce, which is theirs here.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	hash := func(parts ...string) string {
		sum := md5.Sum([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(sum[:])
	}
	const rfc2617 = `Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`
	const rfc7616 = `Digest realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", algorithm=`
	tests := []struct {
		name                              string
		challenge                         string
		username, password, target, nonce string
		want                              string
	}{
		{
			name: "basic, RFC 7617", challenge: `Basic realm="WallyWorld"`, username: "Aladdin", password: "open sesame",
			want: "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
		}, {
			name: "basic, colon in the password", challenge: `Basic`, username: "a", password: "b:c", want: "Basic YTpiOmM=",
		}, {
			name: "RFC 2617", challenge: rfc2617, username: "Mufasa", password: "Circle Of Life", target: "/dir/index.html", nonce: "0a4f113b",
			want: `Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/dir/index.html", ` +
				`response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c403ebaf9f0171e9517f40e41", qop=auth, nc=00000001, cnonce="0a4f113b"`,
		}, {
			name:      "RFC 2069",
			challenge: `Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"`,
			username:  "Mufasa", password: "CircleOfLife", target: "/dir/index.html", nonce: "x",
			want: `Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/dir/index.html", ` +
				`response="1949323746fe6a43ef61f9606e7febea"`,
		}, {
			name: "RFC 7616, MD5", challenge: rfc7616 + "MD5", username: "Mufasa", password: "Circle of Life", target: "/dir/index.html",
			nonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
			want: `Digest username="Mufasa", realm="http-auth@example.org", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri="/dir/index.html", ` +
				`response="8ca523f5e9506fed4657c9700eebdbec", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", algorithm=MD5, qop=auth, nc=00000001, ` +
				`cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"`,
		}, {
			name: "RFC 7616, SHA-256", challenge: rfc7616 + "SHA-256", username: "Mufasa", password: "Circle of Life", target: "/dir/index.html",
			nonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
			want: `Digest username="Mufasa", realm="http-auth@example.org", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri="/dir/index.html", ` +
				`response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", ` +
				`algorithm=SHA-256, qop=auth, nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"`,
		}, {
			name: "MD5-sess", challenge: `Digest realm="r", nonce="n", qop="auth", algorithm=MD5-sess`, username: "u", password: "p", target: "/x", nonce: "c",
			want: `Digest username="u", realm="r", nonce="n", uri="/x", response="` +
				hash(hash(hash("u", "r", "p"), "n", "c"), "n", "00000001", "c", "auth", hash("GET", "/x")) +
				`", algorithm=MD5-sess, qop=auth, nc=00000001, cnonce="c"`,
		}, {
			name: "auth-int", challenge: `Digest realm="r", nonce="n", qop="auth-int"`, username: "u", password: "p", target: "/x", nonce: "c",
			want: `Digest username="u", realm="r", nonce="n", uri="/x", response="` +
				hash(hash("u", "r", "p"), "n", "00000001", "c", "auth-int", hash("GET", "/x", hash(""))) + `", qop=auth-int, nc=00000001, cnonce="c"`,
		}, {
			name: "quotes and Latin-1", challenge: "Digest realm=\"a\\\"b\\\\\xfc\", nonce=\"n\"", username: `u"`, password: "p", target: "/x", nonce: "c",
			want: "Digest username=\"u\\\"\", realm=\"a\\\"b\\\\\xfc\", nonce=\"n\", uri=\"/x\", response=\"" +
				hash(hash(`u"`, "a\"b\\\xfc", "p"), "n", hash("GET", "/x")) + `"`,
		}, {
			name: "hashed user name", challenge: `Digest realm="r", nonce="n", userhash=true`, username: "u", password: "p", target: "/x", nonce: "c",
			want: `Digest username="` + hash("u", "r") + `", realm="r", nonce="n", uri="/x", response="` +
				hash(hash("u", "r", "p"), "n", hash("GET", "/x")) + `", userhash=true`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := login{}.next(both(tt.challenge))
			if err != nil {
				t.Fatal(err)
			}
			l.cnonce = tt.nonce
			if got := string(l.appendCredentials(nil, tt.username, tt.password, tt.target)); got != tt.want {
				t.Errorf("authorization\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestAuthorizationOfNoLogin(t *testing.T) {
	t.Parallel()
	if got := string(new(login).appendCredentials(nil, "admin", "secret", "/")); got != "" {
		t.Errorf("authorization = %q, expected none", got)
	}
	unanswerable := login{scheme: SchemeDigest, challenge: digest.Challenge{Algorithm: "MD4"}}
	if got := string(unanswerable.appendCredentials(nil, "admin", "secret", "/")); got != "" {
		t.Errorf("authorization = %q, expected none", got)
	}
}

func TestNonceCountRises(t *testing.T) {
	t.Parallel()
	l, err := login{}.next(both(`Digest realm="r", nonce="n", qop="auth"`))
	if err != nil {
		t.Fatal(err)
	}
	var cnonce string
	for want := 1; want <= 3; want++ {
		cred, err := digest.ParseCredentials(string(l.appendCredentials(nil, "u", "p", "/")))
		if err != nil {
			t.Fatal(err)
		}
		if cred.Nc != want {
			t.Errorf("nc = %d, expected %d", cred.Nc, want)
		}
		if cnonce != "" && cred.Cnonce != cnonce {
			t.Errorf("cnonce = %q, expected %q as before", cred.Cnonce, cnonce)
		}
		cnonce = cred.Cnonce
	}
}

// After a login was refused, only a phone that had other reasons than the password is asked again.
func TestNextAfterRefusal(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		old   string
		fresh []string
		again bool
	}{
		{name: "stale", fresh: []string{`Digest realm="r", nonce="2", stale=true`}, again: true},
		{name: "stale, quoted, in capitals", fresh: []string{`Digest realm="r", nonce="2", stale="TRUE"`}, again: true},
		{name: "stale, same nonce", fresh: []string{`Digest realm="r", nonce="1", stale=true`}, again: true},
		{name: "new nonce", fresh: []string{`Digest realm="r", nonce="2"`}, again: true},
		{name: "new nonce, not stale", fresh: []string{`Digest realm="r", nonce="2", stale=false`}},
		{name: "same nonce", fresh: []string{`Digest realm="r", nonce="1"`}},
		{name: "same nonce, not stale", fresh: []string{`Digest realm="r", nonce="1", stale=FALSE`}},
		{name: "basic now", fresh: []string{`Basic realm="r"`}},
		{name: "nothing now"},
		{name: "unknown now", fresh: []string{`Digest realm="r", nonce="2", algorithm=MD4`}},
		{name: "was basic", old: `Basic realm="r"`, fresh: []string{`Basic realm="r"`}},
		{name: "was basic, is digest", old: `Basic realm="r"`, fresh: []string{`Digest realm="r", nonce="2"`}, again: true},
		{name: "was basic, is either", old: `Basic realm="r"`, fresh: []string{`Digest realm="r", nonce="2"`, `Basic realm="r"`}},
		{name: "was basic, is either in one line", old: `Basic realm="r"`, fresh: []string{`Digest realm="r", nonce="2", Basic`}},
		{name: "was basic, is nothing that can be answered", old: `Basic realm="r"`, fresh: []string{`Digest realm="r"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.old == "" {
				tt.old = `Digest realm="r", nonce="1"`
			}
			l, err := login{}.next(both(tt.old))
			if err != nil {
				t.Fatal(err)
			}
			next, err := l.next(both(tt.fresh...))
			if again := err == nil && next.scheme == SchemeDigest; again != tt.again {
				t.Errorf("next = %+v, %v, expected another try: %t", next, err, tt.again)
			}
			if err != nil && !errors.Is(err, ErrUnauthorized) {
				t.Errorf("next: %v, expected ErrUnauthorized", err)
			}
		})
	}
}

func FuzzChallenges(f *testing.F) {
	for _, line := range []string{
		"", "Basic", `Basic realm="snom"`, `Digest realm="snom", nonce="abc", qop="auth"`, `Digest realm=a,nonce=b==,Basic realm=c`,
		`"`, `="`, `,,=,`, `Digest nonce="\`, "Digest\tnonce=\"a\x00\"", `NTLM, Negotiate YQ==, Digest nonce=x, algorithm=MD5-sess, stale=true`,
		"Digest nonce=\"\xff\", realm=\"\\\"\", opaque=\"o\", userhash=true, algorithm=SHA-512-256",
	} {
		f.Add(line, "/command.htm?key=P1")
	}
	f.Fuzz(func(t *testing.T, line, target string) {
		if checkTarget(target) != nil {
			return
		}
		l, err := login{}.next(both(line))
		if (err == nil) == (l.scheme == "") {
			t.Fatalf("next(%q) = %+v, %v", line, l, err)
		}
		if err != nil {
			if !errors.Is(err, ErrUnauthorized) || len(err.Error()) > 1000 {
				t.Fatalf("next(%q): %v", line, err)
			}
			return
		}
		// Whatever the phone said, what is sent back is one header line that says what it said.
		got := string(l.appendCredentials(nil, "admin", "secret", target))
		if strings.ContainsFunc(got, isControl) {
			t.Fatalf("next(%q): authorization %q", line, got)
		}
		if l.scheme == SchemeBasic {
			return
		}
		sent := challenges([]string{got})
		if len(sent) != 1 || sent[0].scheme != "digest" || sent[0].broken ||
			sent[0].params["nonce"] != l.challenge.Nonce || sent[0].params["realm"] != l.realm || sent[0].params["uri"] != target {
			t.Fatalf("next(%q): authorization %q reads as %+v", line, got, sent)
		}
	})
}

// TestPlainLoginIsTheLibrarys: the login that is computed in place is what the library makes of the same challenge.
func TestPlainLoginIsTheLibrarys(t *testing.T) {
	t.Parallel()
	for _, c := range []digest.Challenge{
		{Realm: "snom", Nonce: "a1b2c3", QOP: []string{"auth"}},
		{Realm: `snom "320"\`, Nonce: strings.Repeat("n", maxChallenge/2), Opaque: "5ccc069c", Algorithm: "md5", QOP: []string{"auth-int", "auth"}},
		{Realm: "", Nonce: "ü=", Algorithm: "MD5", QOP: []string{"auth", "auth-int"}},
	} {
		l := &login{scheme: SchemeDigest, realm: c.Realm, challenge: c, cnonce: "0123456789"}
		for count := 1; count <= 3; count++ {
			target := "/command.htm?number=" + strings.Repeat("%2B49", count*40)
			cred, err := digest.Digest(&c, digest.Options{Method: "GET", URI: target, Count: count, Username: "us\"er", Password: "päss", Cnonce: l.cnonce})
			if err != nil {
				t.Fatal(err)
			}
			got := string(l.appendCredentials(nil, `us"er`, "päss", target))
			if expected := string(appendDigest(nil, cred)); got != expected || !l.isPlain() {
				t.Errorf("got\n%s, expected\n%s", got, expected)
			}
		}
	}
}
