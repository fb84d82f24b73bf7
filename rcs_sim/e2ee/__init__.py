"""RCC.16: end-to-end encryption of RCS with MLS. Sans-IO; what a server may load holds no secret of a group."""
