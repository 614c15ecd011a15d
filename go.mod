module github.com/seqera-tools/crypto-rotation

go 1.26.0
