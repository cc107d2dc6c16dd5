package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-53cf897a/docket/ledger/customers/vault"
)

// authorityKey makes the key of age that bundles are encrypted to: its secret half in a file,
// the public one in $RECIPIENT.
func authorityKey(ts *testscript.TestScript, _ bool, args []string) {
	file, recipient, err := vault.NewIdentity()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), file, 0o600))
	ts.Setenv("RECIPIENT", recipient)
}

// makeCertificate makes certificates of this machine's address, each its own issuer.
func makeCertificate(ts *testscript.TestScript, _ bool, args []string) {
	until := time.Now().Add(time.Hour)
	for _, name := range args {
		if name == "expired" {
			until = time.Now().Add(-time.Hour)
			continue
		}
		public, private, err := ed25519.GenerateKey(nil)
		ts.Check(err)
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		}
		der, err := x509.CreateCertificate(nil, template, template, public, private)
		ts.Check(err)
		key, err := x509.MarshalPKCS8PrivateKey(private)
		ts.Check(err)
		cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		ts.Check(os.WriteFile(ts.MkAbs(name+".crt"), cert, 0o600))
		ts.Check(os.WriteFile(ts.MkAbs(name+".pem"), append(cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...), 0o600))
	}
}

// hangUp is SIGHUP to what start started, and waits until it says that its vault is locked.
func hangUp(ts *testscript.TestScript, _ bool, args []string) {
	all := ts.Value(processesKey{}).(processes)
	ts.Check(all[args[0]].cmd.Process.Signal(syscall.SIGHUP))
	awaitWords(ts, args[0], `"reason":"SIGHUP"`)
}

// says waits until what start started has said some words in its log.
func says(ts *testscript.TestScript, _ bool, args []string) { awaitWords(ts, args[0], args[1]) }

func awaitWords(ts *testscript.TestScript, name, words string) {
	for !strings.Contains(ts.ReadFile(name+".log"), words) {
		time.Sleep(5 * time.Millisecond) // the test's own deadline ends it
	}
}

// alter changes one bit in the middle of a file, which may be read only.
func alter(ts *testscript.TestScript, _ bool, args []string) {
	raw := []byte(ts.ReadFile(args[0]))
	raw[len(raw)/2] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), raw, 0o600))
}
