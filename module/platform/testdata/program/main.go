// Command program runs in the containers of the tests. It prints lines, then serves or exits.
package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
)

// program <lines on each stream> serve | exit <code>
func main() {
	lines, _ := strconv.Atoi(os.Args[1])
	for i := range lines {
		fmt.Fprintf(os.Stdout, "out %d\n", i)
		fmt.Fprintf(os.Stderr, "err %d\n", i)
	}
	if os.Args[2] == "exit" {
		code, _ := strconv.Atoi(os.Args[3])
		os.Exit(code)
	}
	listener, err := net.Listen("tcp", ":3306")
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(os.Stdout, "\x1b[32mserving\x1b[0m")
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		_, _ = connection.Write([]byte("hello"))
		_ = connection.Close()
	}
}
