package vault

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
)

// secrets are what the vault file holds: one line of JSON, its members in this order, each
// there, base64 as RFC 4648 section 4 writes it. Any other writing of the same is refused.
type secrets struct {
	Version    int        `json:"version"`
	Recipients []string   `json:"recipients"` // whom the file is encrypted to, so that it can be written again
	Wrapping   []wrapping `json:"wrapping"`   // by number, ascending; the last one wraps
	Search     secret     `json:"search"`     // HMAC key of handles, accounts and search rows
	House      secret     `json:"house"`      // seals the house's own events
	Pad        secret     `json:"pad"`        // HMAC key of pads' salts
	Map        secret     `json:"map"`        // HMAC key of what the map hides
	Salt       secret     `json:"salt"`       // of the map's keys
}

// wrapping is a key that seals customers' keys. A number is never used again.
type wrapping struct {
	Number uint32 `json:"number"`
	Key    secret `json:"key"`
}

// secret is 32 bytes.
type secret [32]byte

func newSecret() (s secret) {
	rand.Read(s[:])
	return s
}

// MarshalText writes base64.
func (s secret) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, s[:]), nil
}

// UnmarshalText reads base64 of 32 bytes that are not all zero.
func (s *secret) UnmarshalText(text []byte) error {
	var raw [33]byte
	if len(text) != base64.StdEncoding.EncodedLen(len(s)) {
		return fmt.Errorf("a secret of %d characters; want 44 of base64", len(text))
	}
	if n, err := base64.StdEncoding.Strict().Decode(raw[:], text); err != nil || n != len(s) {
		return fmt.Errorf("a secret that is not base64 of 32 bytes")
	}
	copy(s[:], raw[:])
	clear(raw[:])
	if *s == (secret{}) {
		return fmt.Errorf("a secret that is zero")
	}
	return nil
}

const (
	secretsVersion = 1
	maxSecrets     = 64 << 10 // bytes of the JSON
	maxRecipients  = 16
	maxWrapping    = 64
)

// newSecrets are those of a new vault.
func newSecrets(recipients []string) *secrets {
	return &secrets{
		Version: secretsVersion, Recipients: recipients, Wrapping: []wrapping{{1, newSecret()}},
		Search: newSecret(), House: newSecret(), Pad: newSecret(), Map: newSecret(), Salt: newSecret(),
	}
}

func (s *secrets) format() ([]byte, error) {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(s); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// parseSecrets reads what format writes. Its errors say nothing of a secret.
func parseSecrets(text []byte) (*secrets, error) {
	s := new(secrets)
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(s); err != nil {
		return nil, fmt.Errorf("reading it: %w", err)
	}
	switch {
	case s.Version != secretsVersion:
		return nil, fmt.Errorf("it has version %d, and this Docket reads version %d", s.Version, secretsVersion)
	case len(s.Recipients) == 0 || len(s.Recipients) > maxRecipients:
		return nil, fmt.Errorf("it has %d recipients; want 1 to %d", len(s.Recipients), maxRecipients)
	case len(s.Wrapping) == 0 || len(s.Wrapping) > maxWrapping:
		return nil, fmt.Errorf("it has %d wrapping keys; want 1 to %d", len(s.Wrapping), maxWrapping)
	}
	for i, w := range s.Wrapping {
		if w.Number == 0 || i > 0 && w.Number <= s.Wrapping[i-1].Number {
			return nil, fmt.Errorf("its wrapping keys are not in order")
		}
	}
	again, err := s.format()
	defer clear(again)
	if err != nil || !bytes.Equal(again, text) {
		return nil, fmt.Errorf("it is not written as a vault is: something is missing, there twice, or behind its end")
	}
	return s, nil
}

// newest is the number of the key that wraps.
func (s *secrets) newest() uint32 { return s.Wrapping[len(s.Wrapping)-1].Number }

// clone copies the secrets, to be written changed.
func (s *secrets) clone() *secrets {
	c := *s
	c.Recipients, c.Wrapping = slices.Clone(s.Recipients), slices.Clone(s.Wrapping)
	return &c
}

// wipe zeroes the secrets.
func (s *secrets) wipe() {
	clear(s.Wrapping)
	for _, one := range []*secret{&s.Search, &s.House, &s.Pad, &s.Map, &s.Salt} {
		clear(one[:])
	}
}
