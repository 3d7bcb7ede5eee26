package browser

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSite makes the documentation site, and reads it in the browser: every page of the navigation, from no other host than its own,
// and its search. A link to a page or a heading that is not there fails where the site is made.
func TestSite(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "site")
	c := exec.CommandContext(t.Context(), filepath.Join("..", "..", "scripts", "site.sh"), folder)
	out, err := c.CombinedOutput()
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.ExitCode() == 3 {
		t.Log(string(out))
		missing(t, "MkDocs")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	files := http.FileServerFS(os.DirFS(folder))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The browser refuses what is of another host, and writes that to its console, which fails the test.
		w.Header().Set("Content-Security-Policy", "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; worker-src 'self' blob:")
		files.ServeHTTP(w, r)
	}))
	defer server.Close()
	b := (&rig{t: t, url: server.URL + "/"}).open(look{})
	b.visit("index.html")
	b.until(text("h1") + `.startsWith("Documents")`)
	pages := eval[[]string](b, `[...new Set([...document.querySelectorAll("nav.md-nav--primary a.md-nav__link[href]")].map(a => a.getAttribute("href")))].filter(a => !/^(https?:|#)/.test(a))`)
	if len(pages) < 30 {
		t.Errorf("the navigation has %d pages", len(pages))
	}
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range documents {
		page := strings.TrimSuffix(filepath.Base(document), ".md") + ".html"
		if !strings.Contains(strings.Join(pages, " ")+" README.html", page) {
			t.Errorf("the navigation has no %s", page)
		}
	}
	for _, page := range []string{"models/d7xx.html", "keys.html", "node-red.html"} {
		b.visit(page)
		b.until(`document.querySelector("article h1") && [...document.images].every(i => i.complete && i.naturalWidth > 0)`)
	}

	b.visit("index.html")
	eval[bool](b, `(() => { document.querySelector("label[for=__search]").click(); return true })()`)
	b.until(`document.querySelector("[data-md-component=search-query]") === document.activeElement`)
	b.set("[data-md-component=search-query]", "use_hidden_tags")
	b.until(`[...document.querySelectorAll(".md-search-result__link")].some(a => /phone-setup\.html/.test(a.href))`)
}
