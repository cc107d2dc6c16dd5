package proof

import (
	"errors"
	"fmt"
)

// MaxChain is the most receipts of one chain file.
const MaxChain = 1024

// ParseChain reads a file of one or more receipts, one after another with nothing
// between: each begins with the header line of a tlog-proof, which cannot be a
// signature line, so there is one way to read it.
func ParseChain(data []byte) ([]Receipt, error) {
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
		b = append(b, one...)
	}
	return b, nil
}
