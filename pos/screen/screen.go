// Package screen is the cashier's page: plain HTML, CSS and ES2015, embedded, served as it stands in the folder page.
//
// It promises that the page asks nothing of any other host, runs under a content security policy without inline code,
// and holds no secret: everything it shows comes from the API, with the session that it signs in for. What comes from
// the API is written as text, never as markup.
//
// It does not promise to work in a browser older than Chrome 109 or Firefox 115, and it decides nothing: what may be
// done with a card is told by the API.
package screen

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"time"
)

//go:embed page
var files embed.FS

// policy lets the page load its own files and call its own origin, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// Handler serves the page at / and its parts below /screen/.
func Handler() http.Handler {
	mux := http.NewServeMux()
	entries, err := fs.ReadDir(files, "page")
	if err != nil {
		panic("screen: the embedded folder is not readable: " + err.Error()) // decided when compiling
	}
	for _, e := range entries {
		data, err := files.ReadFile("page/" + e.Name())
		if err != nil {
			panic("screen: an embedded file is not readable: " + err.Error()) // decided when compiling
		}
		route := "GET /screen/" + e.Name()
		if e.Name() == "index.html" {
			route = "GET /{$}"
		}
		mux.Handle(route, file(e.Name(), data))
	}
	return mux
}

// file serves one file, which browsers keep and ask about every time: after an update of the agent no page is half old.
func file(name string, data []byte) http.Handler {
	sum := sha256.Sum256(data)
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	kind := mime.TypeByExtension(path.Ext(name))
	switch path.Ext(name) { // the system's table may say otherwise, or nothing
	case ".js":
		kind = "text/javascript; charset=utf-8"
	case ".css":
		kind = "text/css; charset=utf-8"
	case ".html":
		kind = "text/html; charset=utf-8"
	case ".svg":
		kind = "image/svg+xml"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", kind)
		h.Set("Content-Security-Policy", policy)
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("ETag", tag)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
	})
}
