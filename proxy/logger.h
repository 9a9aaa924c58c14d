/*
 * logger - the process that writes records to disk.
 *
 * It reads pipes and writes one file, so it may stall where nobody else may. It opens nothing and
 * knows no path: pipes, files and their successors come from the supervisor (ipc.h). All pipes have
 * turns of the same size, so that none starves the others. Lines for an xferlog go to a second
 * file, where there is one: all that is said here holds for it too, but that it has no records of
 * ours, and that it is not asked for: it is begun anew with the log.
 *
 * The file holds whole lines only. One that was cut by a full disk is completed before anything
 * else is written; one that nobody can complete any more, because a logger or the machine died,
 * has its end put behind it.
 *
 * A file that takes nothing for a while (a FIFO, a terminal) is waited for, LOGGER_STALL_MS; the
 * pipes fill meanwhile, and behind them the workers' rings. After that, and at once where a write
 * fails (disk full, reader gone), it goes on reading, and counts the lines that are lost, by slot
 * (log_state.h). They are said in one "stats" record ("log_lines_lost") when the file can be
 * written again, which is tried with every line that comes and every second. Standard error is told
 * what is wrong, once each time, and when it is over.
 *
 * It asks for a new file (IPC_LOG_ROTATE) once a regular one is large or old enough, and again
 * after a minute, and writes to the old one until the new one comes. A file that takes the place of
 * another begins with a "stats" record ("log_rotated"); the old one is synchronised first. Nothing
 * else is, but the last one at the end.
 *
 * It ends when at least one pipe was given and all were read to their ends: IPC_LOG_CLOSED. When
 * the supervisor is gone, or has taken leave of it to start another one, it ends so too, or after a
 * second with the last line that has begun. A signal does not end it.
 */
#ifndef POSTERN_LOGGER_H
#define POSTERN_LOGGER_H

#define LOGGER_STALL_MS 10000

/*
 * argv: "logger", a name of the log for messages, the user to become, octets and seconds after
 * which it asks for a new file (0: not by this). PROCESS_FD: the control end of an ipc pair;
 * PROCESS_FD + 1: a page of log_state_new(). Returns the exit code: 1 when lines were lost that no
 * record says, or when it cannot work.
 */
int logger_main(int argc, char **argv);

#endif
