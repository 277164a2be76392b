package api

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// MinToken is the fewest bytes of a token that [New] accepts.
	MinToken = 16

	codeLife     = 5 * time.Minute
	codeAttempts = 10
	codeLetters  = "ABCDEFGHJKMNPQRSTUVWXYZ23456789" // none that looks like another
	codeLength   = 8
	cookieLife   = 400 * 24 * time.Hour // the most a browser keeps; what really ends sessions is a new token
)

// ErrToken means that the token for the API is too short to be a secret.
var ErrToken = errors.New("API token")

// keys decide who is let in: whoever shows the token, and the page once somebody has signed it in.
//
// A session is a random number and its MAC under a key that comes from the token. So it outlives a restart of the agent,
// nothing of it is stored, and a new token ends all sessions. It is bound to no clock, since a station's clock may be
// wrong by years.
type keys struct {
	token  [sha256.Size]byte
	key    []byte
	cookie string // its name: cookies are shared by all ports of a host, and two stations may run on one machine

	mu       sync.Mutex
	code     string // the sign-in code in force; empty: none
	until    time.Time
	attempts int
}

func newKeys(token []byte) (*keys, error) {
	if len(token) < MinToken {
		return nil, fmt.Errorf("%w: %d bytes, want at least %d. Write a new one: head -c 32 /dev/urandom | base64", ErrToken, len(token), MinToken)
	}
	k := &keys{token: sha256.Sum256(token)}
	k.key = k.mac(token, "azs-edge session key 1")
	k.cookie = "azs_session_" + hex.EncodeToString(k.mac(k.key, "cookie name"))[:8]
	return k, nil
}

func (k *keys) mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// isToken compares in constant time, whatever the lengths.
func (k *keys) isToken(s string) bool {
	sum := sha256.Sum256([]byte(s))
	return subtle.ConstantTimeCompare(sum[:], k.token[:]) == 1
}

// bearer tells whether the request shows the token.
func (k *keys) bearer(r *http.Request) bool {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return ok && strings.EqualFold(scheme, "Bearer") && k.isToken(token)
}

// session tells whether the request shows a session.
func (k *keys) session(r *http.Request) bool {
	c, err := r.Cookie(k.cookie)
	if err != nil {
		return false
	}
	id, sum, ok := strings.Cut(c.Value, ".")
	if !ok {
		return false
	}
	got, err := base64.RawURLEncoding.DecodeString(sum)
	return err == nil && hmac.Equal(got, k.mac(k.key, "session "+id))
}

// grant is the cookie of a new session.
func (k *keys) grant() *http.Cookie {
	id := rand.Text()
	c := k.blank()
	c.Value = id + "." + base64.RawURLEncoding.EncodeToString(k.mac(k.key, "session "+id))
	c.MaxAge = int(cookieLife.Seconds())
	return c
}

// revoke is the cookie that makes a browser forget its session.
func (k *keys) revoke() *http.Cookie {
	c := k.blank()
	c.MaxAge = -1
	return c
}

func (k *keys) blank() *http.Cookie {
	return &http.Cookie{Name: k.cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// mint makes the sign-in code, in place of the one before. It is good for one use, [codeLife], and [codeAttempts] wrong
// guesses: of 31^8 codes.
func (k *keys) mint(now time.Time) (string, time.Time) {
	b := make([]byte, 0, codeLength)
	for len(b) < codeLength {
		var r [1]byte
		_, _ = rand.Read(r[:]) // never fails
		// Bytes above the largest multiple of the number of letters would make the choice uneven.
		if n := len(codeLetters); int(r[0]) < 256-256%n {
			b = append(b, codeLetters[int(r[0])%n])
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.code, k.until, k.attempts = string(b), now.Add(codeLife), codeAttempts
	return k.code, k.until
}

// redeem uses up the sign-in code if it is this one.
func (k *keys) redeem(code string, now time.Time) bool {
	code = strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code))
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.code == "" || !now.Before(k.until) || k.attempts == 0 {
		return false
	}
	if subtle.ConstantTimeCompare([]byte(code), []byte(k.code)) != 1 {
		k.attempts--
		return false
	}
	k.code = ""
	return true
}
