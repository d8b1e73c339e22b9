"""English words as questions use them: empty ones, vague ones, and groups of related words."""

_EMPTY = """
a about above after again all also am an and any are as at be because been before being below between both
but by can cannot could did do does doing done down during each either else etc ever every few for from
further get gets give given got had has have having he her here hers him his how however i if in into is
it its just let like made make makes many may me might more most much must my no nor not now of off on
once one only or other our ours out over own per please same shall she should since so some such tell than
that the their them then there these they this those through to too under until up upon us use used uses
using very was way we were what when where whether which while who whom whose why will with within without
would yes yet you your happen happens explain describe say says mean means work works thing things s t re
ve ll d
"""
_VAGUE = """
system systems application software program project product tool thing part kind type run running current
"""
_KIN = """
die dies dead death kill killed crash crashes lost lose vanish exit abruptly
recover recovery resume restart restore retry reclaim redeliver requeue repair rerun heal reassign survive
fail fails failure failed
worker process consumer executor
task job
cost price spend budget charge bill fee expense pay
fast quick speed performance latency throughput slow efficient
install installation setup deploy deployment
secure security protect safe authenticate authentication credential
permission access authorize authorization allow forbid deny
configure configuration setting option parameter customize
error exception fault bug problem issue
delete remove drop erase purge discard
limit maximum cap quota bound threshold
test verify check validate assert prove
store save persist keep record durable
start begin launch boot
stop end finish halt shutdown cancel quit
wait sleep pause block delay
user person customer client people
change update modify edit alter migrate upgrade
difference differ versus compare comparison distinguish unlike
cause reason lead result effect
buy purchase order acquire
danger hazard risk threat harm
increase grow rise gain improve
decrease reduce fall shrink decline lower
build create construct generate produce
message event notification signal
parallel concurrent simultaneous async thread
duplicate twice repeat idempotent again
old age obsolete deprecated legacy
money cash fund capital finance
doctor physician clinic hospital medical
law legal regulation statute rule
employee staff personnel worker
company business firm enterprise organization
"""

EMPTY = frozenset(_EMPTY.split())
VAGUE = frozenset(_VAGUE.split())
KIN = [line.split() for line in _KIN.strip().splitlines()]
"""Words that stand in for each other in questions put to documents. BM25 knows only letters, and a folder that
speaks of crashed processes should still answer for workers that die."""
