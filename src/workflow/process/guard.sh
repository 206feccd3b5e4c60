# Ends the commands of a runner that is gone. Reads what runs, a line an event:
#   + NUMBER PID    a command has begun; PID is its process, its group and its session
#   - NUMBER        it is over
# The pipe ends when the runner does, however it ended: then whatever is left is killed.
trap '' HUP INT QUIT TERM TSTP TTIN TTOU
running=' '
while read -r sign number pid; do
  case $sign in
  +) running="$running$number:$pid " ;;
  -)
    case $running in *" $number:"*)
      rest=${running#*" $number:"}
      running="${running%%" $number:"*} ${rest#* }"
      ;;
    esac
    ;;
  esac
done
sessions=' '
for entry in $running; do
  kill -9 "-${entry#*:}"
  sessions="$sessions${entry#*:} "
done
# Programs such as `timeout` make groups of their own within the session; what a process began
# while the list was read shows in the next round.
round=0
found=$running
while [ "$found" != ' ' ] && [ "$round" -lt 20 ]; do
  found=' '
  round=$((round + 1))
  for stat in /proc/[0-9]*/stat; do
    read -r line <"$stat" || continue
    # After the name in brackets: state, parent, group, session.
    set -- ${line##*) }
    [ "$1" = Z ] && continue
    case $sessions in
    *" $4 "*)
      found=again
      kill -9 "${line%% *}"
      ;;
    esac
  done
done
