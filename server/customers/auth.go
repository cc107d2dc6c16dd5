package customers

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Role is what a client may do.
type Role string

// The roles. Whoever decides is not whoever writes: a system that sends events reads nothing.
const (
	Writer     Role = "writer"     // sends events
	Reader     Role = "reader"     // finds and reads customers; each time it is logged
	Compliance Role = "compliance" // besides, what changes the log's course: periods, holds, erasure, screening, the vault
	Discloser  Role = "discloser"  // prepares and approves what leaves the house
)

// Roles are all of them.
func Roles() []Role { return []Role{Writer, Reader, Compliance, Discloser} }

// Client is one who may ask: a program's or a person's certificate or key.
type Client struct {
	Name  string `json:"name"`
	Roles []Role `json:"roles"`
	// CertificateSHA256 is the fingerprint of the client's certificate (SHA-256 of its DER), or
	// KeySHA256 that of a key; lower-case hexadecimal. A client has one of them.
	CertificateSHA256 string `json:"certificateSHA256,omitempty"`
	KeySHA256         string `json:"keySHA256,omitempty"`

	unattended bool // keeps no vault open
}

// owner is whoever comes over the socket in the log's directory, which the system lets its
// owner alone open. To approve a disclosure takes a discloser's signature besides.
var owner = Client{Name: "owner", Roles: Roles()}

// schedule is what publishes on schedule. Nobody may call himself so: the idle are told by their
// calls, and it makes some whenever a period is due.
var schedule = Client{Name: "docket", Roles: []Role{Compliance}, unattended: true}

func (c Client) may(roles ...Role) bool {
	for _, r := range roles {
		if slices.Contains(c.Roles, r) {
			return true
		}
	}
	return false
}

// role is what the client is called in the log: the first of the roles asked for that it has.
func (c Client) role(roles ...Role) string {
	for _, r := range roles {
		if slices.Contains(c.Roles, r) {
			return string(r)
		}
	}
	return ""
}

// CheckClients refuses clients that could not be told apart, or that nobody could be.
func CheckClients(all []Client) error {
	names, secrets := make(map[string]bool), make(map[string]bool)
	for _, c := range all {
		if c.Name == "" || len(c.Name) > 100 || c.Name == owner.Name || c.Name == schedule.Name || names[c.Name] {
			return fmt.Errorf("client %q: want a name of its own, other than %q and %q", c.Name, owner.Name, schedule.Name)
		}
		names[c.Name] = true
		if len(c.Roles) == 0 {
			return fmt.Errorf("client %s has no role: want one or more of %s", c.Name, rolesText(Roles()))
		}
		for _, r := range c.Roles {
			if !slices.Contains(Roles(), r) {
				return fmt.Errorf("client %s: %q is no role; there are %s", c.Name, r, rolesText(Roles()))
			}
		}
		secret := c.CertificateSHA256 + c.KeySHA256
		if raw, err := hex.DecodeString(secret); err != nil || len(raw) != sha256.Size || secret != strings.ToLower(secret) {
			return fmt.Errorf("client %s: want certificateSHA256 or keySHA256, 64 lower-case hexadecimal digits", c.Name)
		}
		if secrets[secret] {
			return fmt.Errorf("client %s has the certificate or key of another", c.Name)
		}
		secrets[secret] = true
	}
	return nil
}

func rolesText(roles []Role) string {
	texts := make([]string, len(roles))
	for i, r := range roles {
		texts[i] = string(r)
	}
	return strings.Join(texts, ", ")
}

const keyPrefix = "docket-"

// IsKey tells what may be a client's key from what is none.
func IsKey(text string) bool {
	raw, ok := strings.CutPrefix(text, keyPrefix)
	return ok && len(raw) == base64.RawURLEncoding.EncodedLen(32) && !strings.ContainsAny(raw, " \t\r\n")
}

// NewKey draws a key for a client, and what is kept of it. Its 256 bits are why a plain hash
// is enough.
func NewKey() (key, sha256Hex string) {
	raw := make([]byte, 32)
	rand.Read(raw) // never fails
	key = keyPrefix + base64.RawURLEncoding.EncodeToString(raw)
	return key, HashKey(key)
}

// HashKey is what is kept of a key.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

type clientKey struct{}

// AsOwner lets a handler's requests be those of the directory's owner.
func AsOwner(h http.Handler) http.Handler { return as(owner, h) }

// AsSchedule lets a handler's requests be those of a [Publisher]: they keep no vault open.
func AsSchedule(h http.Handler) http.Handler { return as(schedule, h) }

func as(c Client, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientKey{}, c)))
	})
}

// clientOf is who asks. A key is looked up by its hash, so that how long that takes tells
// nothing of it.
func (s *Server) clientOf(r *http.Request) (Client, error) {
	if c, ok := r.Context().Value(clientKey{}).(Client); ok {
		return c, nil
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		cert := r.TLS.PeerCertificates[0] // of which the client has shown that it has the private key
		sum := sha256.Sum256(cert.Raw)
		c, err := s.clientBy(func(c Client) bool { return c.CertificateSHA256 == hex.EncodeToString(sum[:]) })
		if now := time.Now(); err == nil && (now.Before(cert.NotBefore) || now.After(cert.NotAfter)) {
			return Client{}, newProblem(problemUnknown, "the certificate of %s holds from %s until %s, and not now", c.Name, cert.NotBefore.UTC().Format(time.DateOnly), cert.NotAfter.UTC().Format(time.DateOnly))
		}
		return c, err
	}
	if key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return s.clientBy(func(c Client) bool { return c.KeySHA256 == HashKey(key) })
	}
	if client, ok := s.sessions.client(r); ok {
		return client, nil
	}
	return Client{}, errUnknown
}

var errUnknown = errors.New("the request shows no key and no certificate of a client")

func (s *Server) clientBy(is func(Client) bool) (Client, error) {
	if i := slices.IndexFunc(s.cfg.Clients, is); i >= 0 {
		return s.cfg.Clients[i], nil
	}
	return Client{}, errUnknown
}
