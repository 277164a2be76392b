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
	"net/http"
	"path"
	"time"
)

//go:embed page
var files embed.FS

// policy lets the page load its own files and call its own origin, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// types are the kinds of file there are. The system's own table may say otherwise, or nothing.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// Handler serves the page at / and its parts below /screen/. Browsers keep them and ask every time whether they are still
// good, so that after an update of the agent no page is half old.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { serve(w, r, "index.html") })
	mux.HandleFunc("GET /screen/{name}", func(w http.ResponseWriter, r *http.Request) { serve(w, r, r.PathValue("name")) })
	return mux
}

func serve(w http.ResponseWriter, r *http.Request, name string) {
	kind, ok := types[path.Ext(name)]
	data, err := files.ReadFile("page/" + name)
	if !ok || err != nil {
		http.NotFound(w, r)
		return
	}
	sum := sha256.Sum256(data)
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("ETag", `"`+hex.EncodeToString(sum[:12])+`"`)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
}
