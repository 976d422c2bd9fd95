from dapt.cli import main

raise SystemExit(main())
