package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// requirement is one thing that a specification of C2SP demands of us: document and section
// say where it stands, words what it is, in ours. Without a reason a comment
//
//	// SPEC: <document> <section>: <words>
//
// stands beside each line that checks or does it. With a reason it does not bind us.
type requirement struct{ document, section, key, words, reason string }

// requirements are every MUST and MUST NOT of the documents, and what those of them that
// do not write in capitals demand, as of July 2026.
var requirements = []requirement{
	{"tlog-witness", "add-checkpoint", "post", "the call is an HTTP POST", ""},
	{"tlog-witness", "add-checkpoint", "body", "the body is the old size, the proof, an empty line and the checkpoint, in this order", ""},
	{"tlog-witness", "add-checkpoint", "newline", "each line ends in a newline", ""},
	{"tlog-witness", "add-checkpoint", "old line", "the first line is \"old\", one space and the old size", ""},
	{"tlog-witness", "add-checkpoint", "old size", "a size is a decimal without leading zeros, and zero is 0", ""},
	{"tlog-witness", "add-checkpoint", "proof line", "a proof line is one hash in base64", ""},
	{"tlog-witness", "add-checkpoint", "63 lines", "no client sends more than 63 proof lines, so none are read", ""},
	{"tlog-witness", "add-checkpoint", "log key", "a key that is trusted for the origin must have signed the checkpoint", ""},
	{"tlog-witness", "add-checkpoint", "unknown keys", "signatures by unknown keys are ignored", ""},
	{"tlog-witness", "add-checkpoint", "404", "an unknown origin is answered 404", ""},
	{"tlog-witness", "add-checkpoint", "403", "no signature by a trusted key, or one that claims to be and fails, is answered 403", ""},
	{"tlog-witness", "add-checkpoint", "old above", "an old size above the checkpoint's is answered 400", ""},
	{"tlog-witness", "add-checkpoint", "409", "an old size other than that of the latest cosigned checkpoint, 0 if there is none, is answered 409", ""},
	{"tlog-witness", "add-checkpoint", "409 body", "the body of a 409 is the latest cosigned size in decimal and a newline, as text/x.tlog.size", ""},
	{"tlog-witness", "add-checkpoint", "empty root", "a checkpoint of size zero with another root than the empty tree's is answered 422", ""},
	{"tlog-witness", "add-checkpoint", "old zero", "from the old size zero the proof is empty, or the answer is 422", ""},
	{"tlog-witness", "add-checkpoint", "proof", "from any other old size a consistency proof of RFC 6962 must verify, or the answer is 422", ""},
	{"tlog-witness", "add-checkpoint", "same size", "a checkpoint of the old size with another root is answered 422", ""},
	{"tlog-witness", "add-checkpoint", "refused", "what fails a check is not cosigned, even where it is kept as a sign of misbehaviour", ""},
	{"tlog-witness", "add-checkpoint", "record", "what passes all checks becomes the latest cosigned checkpoint, and is answered 200", ""},
	{"tlog-witness", "add-checkpoint", "persist", "the checkpoint is persisted before the answer", ""},
	{"tlog-witness", "add-checkpoint", "atomic", "the old size is checked and the checkpoint persisted in one step, or a smaller one could follow a larger", ""},
	{"tlog-witness", "add-checkpoint", "lines", "the answer is one signature line or more", ""},
	{"tlog-witness", "add-checkpoint", "line", "a signature line begins with an em dash and ends in a newline", ""},
	{"tlog-witness", "add-checkpoint", "cosignatures", "the signatures are cosignatures of the checkpoint by keys of the witness", ""},
	{"tlog-witness", "add-checkpoint", "whole tree", "a cosignature covers the whole tree: from zero to the checkpoint's size", ""},
	{"tlog-witness", "add-checkpoint", "time", "the timestamp of a cosignature is there and not zero", ""},
	{"tlog-witness", "add-checkpoint", "client", "the client ignores cosignatures by unknown keys", ""},
	{"tlog-witness", "Monitor Retrieval Mechanism", "get", "the call is an HTTP GET", ""},
	{"tlog-witness", "Monitor Retrieval Mechanism", "origin hash", "the path has the lower-case hexadecimal SHA-256 of the origin", ""},
	{"tlog-witness", "Monitor Retrieval Mechanism", "body", "the answer is a checkpoint with the log's signatures that were verified and the cosignatures that were given", ""},
	{"tlog-witness", "Monitor Retrieval Mechanism", "404", "a log of which nothing was cosigned is answered 404", ""},

	{"tlog-cosignature", "Format", "key ID", "the ID of an Ed25519 key hashes its name, a newline, 0x04 and the key; of ML-DSA-44, 0x06 and the key", ""},
	{"tlog-cosignature", "Format", "structure", "a cosignature is a timestamp of eight bytes, big-endian, and the signature", ""},
	{"tlog-cosignature", "Format", "timestamp", "a timestamp is at most 2^63 - 1", ""},
	{"tlog-cosignature", "Ed25519 signed message", "message", "what is signed is a header line, a line with the time, and the whole body of the checkpoint", ""},
	{"tlog-cosignature", "Ed25519 signed message", "header", "the header line is cosignature/v1", ""},
	{"tlog-cosignature", "Ed25519 signed message", "time", "the time line is \"time\", one space, and the timestamp in decimal without leading zeros", ""},
	{"tlog-cosignature", "ML-DSA-44 signed message", "message", "what is signed is a cosigned_message", ""},
	{"tlog-cosignature", "ML-DSA-44 signed message", "start", "of a checkpoint the start is zero", ""},

	{"tlog-checkpoint", "Note text", "origin", "the origin is not empty", ""},
	{"tlog-checkpoint", "Note text", "any origin", "no form of an origin is assumed: it need be no URL", ""},
	{"tlog-checkpoint", "Note text", "size", "the size is a decimal without leading zeros, and zero is 0", ""},
	{"tlog-checkpoint", "Note text", "root", "the root is the base64 of the RFC 6962 tree hash", ""},
	{"tlog-checkpoint", "Signatures", "consistent", "a log signs nothing that is inconsistent with what it signed before", ""},
	{"tlog-checkpoint", "Signatures", "unknown", "unknown signatures are ignored", ""},

	{"tlog-policy", "What is a \"policy\"?", "valid", "a checkpoint is valid if any one of the logs signed it and the quorum cosigned it", ""},
	{"tlog-policy", "What is a \"policy\"?", "name space", "witnesses and groups share one name space", ""},
	{"tlog-policy", "Structure", "white space", "items are separated by spaces and tabs alone", ""},
	{"tlog-policy", "Structure", "comments", "empty lines and comments are ignored", ""},
	{"tlog-policy", "Structure", "newline", "each line ends in a newline", ""},
	{"tlog-policy", "Public key representation", "log type", "a log's key is of a type that signs checkpoints", ""},
	{"tlog-policy", "Public key representation", "witness type", "a witness's key is of a type that cosigns", ""},
	{"tlog-policy", "Defining a log", "origin", "the name of a log's key is its origin", ""},
	{"tlog-policy", "Defining a log", "duplicates", "no public key stands on two log lines", ""},
	{"tlog-policy", "Defining a witness", "duplicates", "no public key stands on two witness lines", ""},
	{"tlog-policy", "Defining the quorum", "one line", "there is exactly one quorum line", ""},
	{"tlog-policy", "Defining the quorum", "defined above", "the quorum is defined on a line above", ""},
	{"tlog-policy", "Defining a witness group", "threshold", "a group is witnessed if k or more of its members are", ""},
	{"tlog-policy", "Defining a witness group", "members", "a group has one member or more", ""},
	{"tlog-policy", "Defining a witness group", "k", "k is a decimal from 1 to the number of members", ""},
	{"tlog-policy", "Defining a witness group", "none", "none is no member of a group", ""},
	{"tlog-policy", "Defining a witness group", "defined above", "members are defined on lines above", ""},
	{"tlog-policy", "Defining a witness group", "one group", "a name is a member of one group at most", ""},
	{"tlog-policy", "Character set", "control characters", "tab and newline are the only control characters", ""},
	{"tlog-policy", "Character set", "opaque", "names are compared as bytes", ""},

	{"tlog-proof", "Format", "header", "the first line is c2sp.org/tlog-proof@v1", ""},
	{"tlog-proof", "Format", "extra", "nothing trusts the extra data before it is shown to be a leaf of the tree", ""},
	{"tlog-proof", "Format", "index", "the next line is \"index\", one space, and the index in decimal without leading zeros", ""},
	{"tlog-proof", "Format", "path", "the lines after it are one hash each, the leaf's sibling first", ""},
	{"tlog-proof", "Format", "checkpoint", "after an empty line the checkpoint follows as it was issued", ""},
	{"tlog-proof", "Verifying a tlog proof", "leaf", "step 1: the leaf is hashed", ""},
	{"tlog-proof", "Verifying a tlog proof", "log", "step 2: a key of that origin signed the checkpoint", ""},
	{"tlog-proof", "Verifying a tlog proof", "witnesses", "step 3: all cosignatures of known witnesses are verified, and judged by the policy", ""},
	{"tlog-proof", "Verifying a tlog proof", "inclusion", "step 4: the proof binds the leaf to the root of the checkpoint", ""},

	{"tlog-tiles", "Checkpoints", "served", "the checkpoint is served at /checkpoint as text/plain; charset=utf-8", ""},
	{"tlog-tiles", "Checkpoints", "Ed25519", "a checkpoint bears an Ed25519 signature of the log", ""},
	{"tlog-tiles", "Merkle Tree", "level", "a level is a decimal from 0 to 63 without leading zeros", ""},
	{"tlog-tiles", "Merkle Tree", "index", "an index is a number in path elements of three digits", ""},
	{"tlog-tiles", "Merkle Tree", "x", "all elements but the last begin with an x", ""},
	{"tlog-tiles", "Merkle Tree", "width", "a full tile has 256 hashes", ""},
	{"tlog-tiles", "Partial Tiles", "not above", "a partial tile is not hashed into a tile above", ""},
	{"tlog-tiles", "Partial Tiles", "empty", "no empty tile is served", ""},
	{"tlog-tiles", "Partial Tiles", "kept", "the partial tiles of each published size are served", ""},
	{"tlog-tiles", "Partial Tiles", "asked", "a client asks only for partial tiles that a verified checkpoint implies", ""},
	{"tlog-tiles", "Log entries", "bundle", "a bundle is entries, each after its length as a big-endian uint16", ""},
	{"tlog-tiles", "Log entries", "hash", "an entry is hashed as RFC 6962 hashes a leaf", ""},
	{"tlog-tiles", "Log entries", "other URL", "entries in another encoding have another URL", ""},
	{"tlog-tiles", "Retention Policies", "not pruned", "without a policy that permits it no entry is pruned", ""},

	{"signed-note", "Note", "ignored", "the text counts for nothing before a signature by a trusted key is verified", ""},
	{"signed-note", "Format", "UTF-8", "a note is UTF-8 without control characters but newline", ""},
	{"signed-note", "Format", "key name", "a key name is not empty, and has no space and no plus", ""},
	{"signed-note", "Format", "16 signatures", "a note may have 16 signatures at least", ""},
	{"signed-note", "Signatures", "unknown keys", "signatures by other keys are ignored, even if they share the name or the ID of a known one", ""},
	{"signed-note", "Signatures", "verified", "a signature of a known key's name and ID is verified", ""},
	{"signed-note", "Signatures", "none verifies", "a note is refused if no signature by a known key verifies", ""},
	{"signed-note", "Verifier keys", "name and ID", "a key has the name and the ID of its signatures", ""},
	{"signed-note", "Verifier keys", "one ID a type", "one public key has another ID for each signature type", ""},

	{"tlog-witness", "sign-subtree", "all", "", "the call is optional, and is not offered"},
	{"tlog-witness", "add-checkpoint", "client: proof", "", "the client does not verify what it proves: it asks with the proofs of its own tree, which the ledger's tests verify"},
	{"tlog-witness", "add-checkpoint", "passes and refused", "", "a halted log is answered 403, one beyond its rate 429, and a witness that looks up or cannot write 503, though all checks pass: what is not signed harms nobody"},
	{"tlog-cosignature", "Ed25519 signed message", "extension lines", "", "a checkpoint with extension lines is refused, so nothing of them is signed or assumed"},
	{"tlog-cosignature", "Ed25519 signed message", "distinct keys", "", "it binds whoever runs several cosigners: docket witness init makes new keys for each"},
	{"tlog-cosignature", "ML-DSA-44 signed message", "subtrees", "", "no subtree but a whole tree is signed, so none has a timestamp"},
	{"tlog-cosignature", "Additional statements", "one meaning", "", "no further statements are made"},
	{"tlog-checkpoint", "Note text", "extension lines", "", "a checkpoint with extension lines is refused (DESIGN.md section 4)"},
	{"tlog-tiles", "Log entries", "tailing", "", "it binds clients that skip partial bundles while they tail a log; ours fetch them"},
	{"tlog-tiles", "Pruning", "minimum index", "", "nothing is pruned, so the minimum index is zero"},
	{"tlog-tiles", "Retention Policies", "lower bound", "", "nothing is pruned, so no client needs a bound"},
	{"signed-note", "Signature types", "ECDSA", "", "keys of type 0x02 are refused"},
	{"tlog-mirror", "all", "all", "", "no mirror is offered: a witness reads no entries"},
}

var specComment = regexp.MustCompile(`^\s*// SPEC: (\S+) (.+?): (.+)$`)

// TestSpec holds the table of requirements and the comments in the code to be the same: none
// is forgotten where the code changes, and none is claimed that nobody demands.
func TestSpec(t *testing.T) {
	type place struct{ document, section, words string }
	wanted, keys := map[place]int{}, map[[3]string]bool{}
	for _, r := range requirements {
		if key := [3]string{r.document, r.section, r.key}; keys[key] || r.key == "" || (r.words == "") == (r.reason == "") {
			t.Errorf("%q: the key stands twice, or there is not one of words and reason", key)
		} else {
			keys[key] = true
		}
		if r.reason == "" {
			wanted[place{r.document, r.section, r.words}] = 0
		}
	}
	err := filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, line := range strings.Split(string(text), "\n") {
			if !strings.Contains(line, "// SPEC:") {
				continue
			}
			m := specComment.FindStringSubmatch(line)
			if m == nil {
				t.Errorf("%s:%d: want // SPEC: <document> <section>: <words>, on a line of its own", path, i+1)
				continue
			}
			at := place{m[1], m[2], m[3]}
			if _, ok := wanted[at]; !ok {
				t.Errorf("%s:%d: the table has no such requirement: %s", path, i+1, strings.TrimSpace(line))
				continue
			}
			wanted[at]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for at, n := range wanted {
		if n == 0 {
			t.Errorf("no comment says where this is checked or done: // SPEC: %s %s: %s", at.document, at.section, at.words)
		}
	}
}
