package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestRenewed: a renewed certificate is taken up within a minute, half of one is not.
func TestRenewed(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := selfSigned(t, dir, 1)
	synctest.Test(t, func(t *testing.T) {
		c, err := ReloadingConfig(certFile, keyFile, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		serial := func() int64 {
			t.Helper()
			cert, err := c.GetCertificate(nil)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := x509.ParseCertificate(cert.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			return leaf.SerialNumber.Int64()
		}
		selfSigned(t, dir, 2)
		os.Chtimes(certFile, time.Time{}, time.Unix(2_000_000_000, 0))
		if got := serial(); got != 1 {
			t.Errorf("serial %d within the minute, want 1", got)
		}
		time.Sleep(time.Minute)
		if got := serial(); got != 2 {
			t.Errorf("serial %d a minute after the renewal, want 2", got)
		}
		os.WriteFile(certFile, []byte("half a file"), 0o600)
		time.Sleep(time.Minute)
		if got := serial(); got != 2 {
			t.Errorf("serial %d after a renewal that does not load, want the old one", got)
		}
	})
}

// TestMissing: nobody serves without the certificate, or with half of the pair.
func TestMissing(t *testing.T) {
	cert, key := selfSigned(t, t.TempDir(), 1)
	for _, files := range [][2]string{{"nowhere", key}, {cert, "nowhere"}, {cert, ""}, {key, cert}} {
		if _, err := ReloadingConfig(files[0], files[1], slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%q was followed", files)
		}
	}
}

// TestWarnedOfItsEnd: who serves with a certificate that has expired, or is about to, is told so at
// the start, and of a renewed one no more.
func TestWarnedOfItsEnd(t *testing.T) {
	for left, want := range map[time.Duration]string{
		-time.Second: "has expired", 0: "has expired", time.Hour: "expires soon", ExpiresSoon - time.Second: "expires soon", ExpiresSoon: "",
	} {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			certFile, keyFile := selfSignedUntil(t, dir, 1, time.Now().Add(left))
			var said strings.Builder
			c, err := ReloadingConfig(certFile, keyFile, slog.New(slog.NewTextHandler(&said, nil)))
			if err != nil {
				t.Fatal(err)
			}
			if got := said.String(); want == "" && got != "" || !strings.Contains(got, want) || strings.Count(got, "\n") > 1 {
				t.Errorf("%s before its end: %q, want %q", left, got, want)
			}
			said.Reset()
			selfSigned(t, dir, 2)
			os.Chtimes(certFile, time.Time{}, time.Unix(2_000_000_000, 0))
			time.Sleep(time.Minute)
			if _, err := c.GetCertificate(nil); err != nil || said.Len() > 0 {
				t.Errorf("renewed: %v, %q", err, said.String())
			}
		})
	}
}

// selfSigned writes a certificate for localhost and its key.
func selfSigned(t *testing.T, dir string, serial int64) (certFile, keyFile string) {
	t.Helper()
	return selfSignedUntil(t, dir, serial, time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
}

func selfSignedUntil(t *testing.T, dir string, serial int64, until time.Time) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}
