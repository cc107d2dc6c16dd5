// Gateway is the object store of the tests: versitygw, with what the tests need of it, before a
// directory whose subdirectories are the buckets. Any number of them may stand before one.
// The command that versitygw has takes twice as long to build.
package main

import (
	"context"
	"flag"
	"log"
	"os"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

func main() {
	listen := flag.String("listen", "", "address")
	dir := flag.String("dir", "", "directory of the buckets")
	alone := flag.Bool("alone", false, "take no locks on files: conditions hold within this process alone")
	flag.Parse()
	files, err := posix.New(*dir, meta.XattrMeta{}, posix.PosixOpts{ForceNoObjLockFile: *alone, Concurrency: 1000})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(embedgw.RunVersityGW(context.Background(), files, &embedgw.Config{
		RootUserAccess: os.Getenv("AWS_ACCESS_KEY_ID"), RootUserSecret: os.Getenv("AWS_SECRET_ACCESS_KEY"), Region: "us-east-1",
		Ports: []string{*listen}, MaxConnections: 10_000, MaxRequests: 10_000, MultipartMaxParts: 10_000, Quiet: true, KeepAlive: true,
	}))
}
