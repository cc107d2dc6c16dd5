package proof

import (
	"errors"
	"fmt"
)

// A chain file is of at most MaxChain receipts and MaxChainBytes bytes.
const (
	MaxChain      = 1024
	MaxChainBytes = 16 << 20
)

// ParseChain reads a file of one or more receipts, one after another with nothing
// between: each begins with the header line of a tlog-proof, which cannot be a
// signature line, so there is one way to read it.
func ParseChain(data []byte) ([]Receipt, error) {
	if len(data) > MaxChainBytes {
		return nil, fmt.Errorf("chain: %d bytes, the limit is %d", len(data), MaxChainBytes)
	}
	var chain []Receipt
	for rest := string(data); rest != ""; {
		if len(chain) == MaxChain {
			return nil, fmt.Errorf("chain: more than %d receipts", MaxChain)
		}
		r, after, err := cutReceipt(rest)
		if err != nil {
			return nil, fmt.Errorf("chain: receipt %d: %w", len(chain)+1, err)
		}
		chain, rest = append(chain, r), after
	}
	if len(chain) == 0 {
		return nil, errors.New("chain: the file is empty")
	}
	return chain, nil
}

// FormatChain writes receipts one after another. It refuses what [ParseChain]
// would not read.
func FormatChain(chain []Receipt) ([]byte, error) {
	if len(chain) == 0 || len(chain) > MaxChain {
		return nil, fmt.Errorf("chain of %d receipts, want 1 to %d", len(chain), MaxChain)
	}
	var b []byte
	for i, r := range chain {
		one, err := r.Format()
		if err != nil {
			return nil, fmt.Errorf("chain: receipt %d: %w", i+1, err)
		}
		if b = append(b, one...); len(b) > MaxChainBytes {
			return nil, fmt.Errorf("chain: more than %d bytes with receipt %d", MaxChainBytes, i+1)
		}
	}
	return b, nil
}
