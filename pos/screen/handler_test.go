package screen_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/pos/screen"
)

// TestFiles holds that every file of the page is served with its type, its policy and a tag, and that none of them holds
// what the policy forbids.
func TestFiles(t *testing.T) {
	entries, err := os.ReadDir("page")
	if err != nil || len(entries) < 6 {
		t.Fatalf("%d files (%v)", len(entries), err)
	}
	inline := regexp.MustCompile(`(?i)\son[a-z]+\s*=\s*["']|\sstyle\s*=|<style|<script>|javascript:|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(`)
	foreign := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9-]+\.[a-z]`)
	for _, e := range entries {
		path := "/screen/" + e.Name()
		if e.Name() == "index.html" {
			path = "/"
		}
		w := httptest.NewRecorder()
		screen.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		body := strings.Replace(w.Body.String(), "http://www.w3.org/2000/svg", "", 1)
		if w.Code != 200 || w.Header().Get("Content-Type") == "" || body == "" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if found := append(inline.FindAllString(body, -1), foreign.FindAllString(body, -1)...); len(found) > 0 {
			t.Errorf("%s holds %q", path, found)
		}
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("If-None-Match", w.Header().Get("ETag"))
		again := httptest.NewRecorder()
		screen.Handler().ServeHTTP(again, r)
		if again.Code != 304 {
			t.Errorf("%s asked for again: %d", path, again.Code)
		}
	}
	for _, path := range []string{"/screen/", "/screen/none.js", "/screen/..%2fscreen.go", "/screen/index.txt", "/other"} {
		w := httptest.NewRecorder()
		screen.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
