"""The transitions: one function per arrow of the state diagram, each one fenced statement (or transaction).

      submit, resume ──▶ pending ──claim──▶ running ──complete──▶ completed
                          ▲  ▲ │              │ │ └──fail──▶ failed, timeout, partial
                     wake │  │ │ checkpoint,  │ │
                          │  └─┼─release,─────┘ │ retry
                       waiting │ expire         │
                          ▲ ◀──┼────────────────┘
                          │    │
    cancel: pending, running, waiting ──▶ cancelled       abandon: pending ──▶ partial, failed

A function takes a connection first and returns the changed rows, from which `Publisher.publish` makes mirror
and bell after the commit. A write of a worker names its run; where no row is changed it raises LeaseLost.
"""
