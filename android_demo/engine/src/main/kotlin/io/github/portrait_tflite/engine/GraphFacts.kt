package io.github.portrait_tflite.engine

import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.core.run.Running
import org.tensorflow.lite.Interpreter

private val REPLACING =
    Regex("""Replacing (\d+) out of (\d+) node\(s\) with delegate \((\w+)\) node""")

/** How the runtime names its delegates in its log. */
private val LOGGED =
    mapOf(DelegateKind.XNNPACK to "XNNPack", DelegateKind.GPU to "Gpu")

/**
 * What is known of a graph after a delegate had its turn.
 *
 * @property steps what is executed one after the other, a partition counting as one; null where the
 *   runtime does not say.
 * @property ops of the file.
 * @property log the runtime's lines.
 */
internal class GraphFacts(val steps: Int?, val ops: Int, private val log: List<String>) {
    /**
     * No two ops became one step: the delegate took none, or single ones, which looks the same and
     * gains nothing.
     */
    val untouched: Boolean get() = steps == ops && ops > 1

    /**
     * How many partitions a delegate runs: the steps that are no op outside of it.
     *
     * @return null where neither the graph nor the log tells.
     */
    fun partitions(kind: DelegateKind): Int? {
        val executed = steps ?: return null
        if (executed == 1) return 1
        val taken = takenBy(kind) ?: return null
        return (executed - (ops - taken)).takeIf { it > 0 }
    }

    /** The newest line about this graph: other interpreters log, too. */
    private fun takenBy(kind: DelegateKind): Int? {
        val name = LOGGED[kind] ?: return null
        return log.asReversed().firstNotNullOfOrNull { line ->
            val (taken, all, delegate) =
                REPLACING.find(line)?.destructured ?: return@firstNotNullOfOrNull null
            val ours = all.toInt() == ops && delegate.contains(name, ignoreCase = true)
            taken.toInt().takeIf { ours }
        }
    }
}

/** Says what was asked for and what runs. */
internal fun describe(choice: DelegateChoice, setup: DelegateSetup, graph: GraphFacts): Running {
    val asked = Running(choice, choice, partitions = null, steps = graph.steps, ops = graph.ops)
    return when {
        choice.kind == DelegateKind.CPU -> asked
        graph.untouched ->
            asked.copy(
                actual = choice.copy(kind = DelegateKind.CPU),
                fallback =
                "${choice.kind.json} joined none of the ${graph.ops} ops: built-in kernels run " +
                    "all, or all but single ones",
            )
        else ->
            asked.copy(partitions = graph.partitions(choice.kind), remark = setup.remark)
    }
}

/**
 * Reads the length of the execution plan. The runtime keeps the method to itself, in the same name
 * since 2.6; null where it has gone.
 */
internal fun stepsOf(interpreter: Interpreter): Int? =
    try {
        val method =
            generateSequence<Class<*>>(interpreter.javaClass) { it.superclass }
                .flatMap { it.declaredMethods.asSequence() }
                .firstOrNull { it.name == "getExecutionPlanLength" && it.parameterCount == 0 }
        method?.isAccessible = true
        method?.invoke(interpreter) as? Int
    } catch (_: ReflectiveOperationException) {
        null
    }
