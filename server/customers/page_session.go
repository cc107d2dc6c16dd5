package customers

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"sync"
	"time"
)

// A browser that shows no certificate signs in with a client's key, once. What it keeps is not
// that key but the name of a session: a cookie goes to every port of the machine, and what
// another program there can read of it must end soon.
const (
	sessionCookie = "docket-customers"
	sessionEnds   = 8 * time.Hour
	maxSessions   = 1000
)

// sessions are of those who signed in; they end with the process.
type sessions struct {
	mu     sync.Mutex
	secret []byte                     // of the forms' tokens
	by     map[[sha256.Size]byte]seat // by the hash of the cookie
}

// seat is one session.
type seat struct {
	client Client
	until  time.Time
}

// client is whose session a request's cookie names.
func (s *sessions) client(r *http.Request) (Client, bool) {
	name := sessionName(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.by[sha256.Sum256([]byte(name))]
	return one.client, ok && time.Now().Before(one.until)
}

func sessionName(r *http.Request) string {
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		return cookie.Value
	}
	return ""
}

// open begins a session. Where there are very many, the one that ends first makes room.
func (s *sessions) open(c Client) (name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var oldest [sha256.Size]byte
	for key, one := range s.by {
		if !now.Before(one.until) {
			delete(s.by, key)
		} else if first, ok := s.by[oldest]; !ok || one.until.Before(first.until) {
			oldest = key
		}
	}
	if len(s.by) >= maxSessions {
		delete(s.by, oldest)
	}
	if s.by == nil {
		s.by = make(map[[sha256.Size]byte]seat)
	}
	name = randomText()
	s.by[sha256.Sum256([]byte(name))] = seat{c, now.Add(sessionEnds)}
	return name
}

func (s *sessions) close(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, sha256.Sum256([]byte(name)))
}

func randomText() string {
	raw := make([]byte, 32)
	rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}

// token goes with every form: who could not read the page cannot send it.
func (s *sessions) token(x *request) string {
	s.mu.Lock()
	if s.secret == nil {
		s.secret = make([]byte, 32)
		rand.Read(s.secret) // never fails
	}
	secret := s.secret
	s.mu.Unlock()
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(x.client.Name + "\n" + sessionName(x.req)))
	return hex.EncodeToString(mac.Sum(nil))
}

// made tells whether a token is one of those.
func (s *sessions) made(x *request, token string) bool {
	return hmac.Equal([]byte(token), []byte(s.token(x)))
}

// signInView asks for a key.
type signInView struct {
	pageHeader
	Fault string
	To    string // the page to go on with
}

func (s *Server) signInPage(x *request) error { return x.answerSignIn(http.StatusOK, "", "/") }

func (x *request) answerSignIn(status int, fault, to string) error {
	return x.answerPage(status, "sign-in", signInView{x.header("Sign in", ""), fault, to})
}

// signIn begins a session of the client whose key is sent. Its form needs no token: whoever
// knows a key may use it, and the browser tells of forms that come from another site.
func (s *Server) signIn(x *request) error {
	form, err := x.readForm()
	if err != nil {
		return err
	}
	to := form.Get("to")
	if !isOwnPath(to) {
		to = "/"
	}
	client, err := s.clientBy(func(c Client) bool { return c.KeySHA256 == HashKey(form.Get("key")) })
	if err != nil {
		return x.answerSignIn(http.StatusUnauthorized, "That is no key of this log. Whoever runs it has given you yours; it begins with “docket-”.", to)
	}
	http.SetCookie(x, &http.Cookie{
		Name: sessionCookie, Value: s.sessions.open(client), Path: "/",
		HttpOnly: true, Secure: x.req.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
	return x.see(to)
}

func (s *Server) signOut(x *request) error {
	s.sessions.close(sessionName(x.req))
	http.SetCookie(x, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, Secure: x.req.TLS != nil, SameSite: http.SameSiteStrictMode})
	return x.see("/sign-in")
}
