# An agent in shell: naps as long as its bead's title says, and writes the file that it names, if any.
for word in $(sed 's/.*"bead":{"id":"[^"]*","title":"\([^"]*\)".*/\1/' "$DISPATCH_ASSIGNMENT"); do
    case $word in
        nap=*) nap=${word#nap=} ;;
        file=*) file=${word#file=} ;;
    esac
done
echo '{"type": "action", "action_type": "command", "action_data": {"command": "nap"}, "result": "awake"}'
sleep "$nap"
if [ -n "$file" ]; then
    echo "$file" >"$file"
    echo '{"type": "result", "outcome": "completed", "summary": "It wrote a file."}'
else
    echo '{"type": "result", "outcome": "completed", "nothing_to_do": true}'
fi
