package register

import (
	"bufio"
	"fmt"
	"io"
)

// Dump writes every row of the register as one line, in the order of their keys:
// two registers of the same entries give the same bytes, however they came about.
// It is what tests and fsck compare, and no format to read.
func (r *Register) Dump(w io.Writer) error {
	b := bufio.NewWriter(w)
	err := r.scan([]byte{0}, []byte{0xff}, func(key, value []byte) (bool, error) {
		_, err := fmt.Fprintf(b, "%q %q\n", key, value)
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("dumping register: %w", err)
	}
	return b.Flush()
}
