module sallyport.dev/bench

go 1.21
