from preceptor.cli.main import main

main()
